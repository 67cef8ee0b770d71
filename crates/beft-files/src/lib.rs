//! Files and folders that appear whole or not at all, folders that one process at a time writes to, and leases on pieces
//! of work in a shared folder.
//!
//! ```
//! use beft_files::{FolderLock, write_atomic};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = std::env::temp_dir().join(format!("beft-files-{}", std::process::id()));
//! std::fs::create_dir_all(&dir)?;
//! let lock = FolderLock::acquire(&dir)?;
//! write_atomic(&dir.join("results.json"), b"{}\n")?;
//! drop(lock);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(())
//! # }
//! ```

mod atomic;
mod lease;
mod lock;
mod partial;

pub use atomic::{OwnFiles, check_replaceable, write_atomic, write_dir_atomic, write_new};
pub use lease::{Lease, Leases, Take};
pub use lock::{FolderLock, LockError};
pub use partial::PartialFile;
