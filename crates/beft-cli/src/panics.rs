//! What a panic says.

use beft_core::is_guarded;
use beft_device::borrowed;

use crate::output::{abandon, complain};

/// From now on a panic that is caught says nothing, and the process ends with a message when the connection to a remote
/// device is lost: burn has no error for that, it panics.
pub(crate) fn hear() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_guarded() {
            return;
        }
        let Some(devices) = borrowed() else {
            return usual(panic);
        };
        abandon();
        complain!(
            "error: the remote device {devices} does not answer any more: start its server again, and run the command again \
             (tune and run: with --resume)"
        );
        std::process::exit(2);
    }));
}
