use anyhow::{Result, bail};
use beft::parse_device;
use beft_device::{names_remote, serve_device};

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
