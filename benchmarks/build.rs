//! Lets the program find libtorch when it is started, without `LD_LIBRARY_PATH`.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let unix = env::var_os("CARGO_CFG_UNIX").is_some();
    if let Some(torch) = env::var_os("LIBTORCH")
        && unix
        && env::var_os("CARGO_FEATURE_TCH").is_some()
    {
        let lib = Path::new(&torch).join("lib");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
}
