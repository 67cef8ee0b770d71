use anyhow::{Result, bail};
use beft::parse_device;
use beft_core::is_guarded;
use beft_device::{borrowed, names_remote, serve_device};

use crate::args::DeviceServerArgs;
use crate::output::{finish, say};

pub(crate) fn device_server(args: &DeviceServerArgs) -> Result<()> {
    if names_remote(&args.device) {
        bail!("--device {}: a borrowed device cannot be lent", args.device);
    }
    let device = parse_device(&args.device)?;
    let ready = || {
        let (device, bind, file) = (&args.device, args.bind, &args.token_file);
        say!("Lending {device} at {bind} to whoever has the token of {file}");
        // Whoever started the server may wait for this line, and need not read it.
        let _ = finish();
    };
    Ok(serve_device(device, args.bind, &args.token_file, ready)?)
}

/// From now on a panic that is caught says nothing, and the process ends with a message when the connection to a remote
/// device is lost: burn has no error for that, it panics.
pub(crate) fn hear_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_guarded() {
            return;
        }
        let Some(devices) = borrowed() else {
            return usual(panic);
        };
        crate::output::abandon();
        crate::output::tell!(
            "error: the remote device {devices} does not answer any more: start its server again, and run the command again \
             (tune and run: with --resume)"
        );
        std::process::exit(2);
    }));
}
