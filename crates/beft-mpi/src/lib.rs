//! The processes of an MPI job, as a team that computes a training together.
//!
//! The Cargo feature `mpi` compiles it in, with the crate `mpi`; its build needs mpicc and libclang. Without it a process that
//! an MPI launcher started among several is refused.
//!
//! ```
//! use beft_train::Team;
//!
//! # fn main() -> Result<(), beft_mpi::MpiError> {
//! let job = beft_mpi::join()?;
//! let team = Team {
//!     peers: job.as_ref().map(beft_mpi::Job::peers),
//!     ..Team::default()
//! };
//! assert!(team.rank() < team.processes());
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "mpi")]
mod job;
#[cfg(not(feature = "mpi"))]
#[path = "without.rs"]
mod job;

pub use job::Job;

/// The variables by which launchers (Open MPI's and MPICH's `mpirun`, Slurm's `srun`) tell the number of processes.
const LAUNCHERS: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// A job that cannot be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// The program was built without MPI.
    #[error(
        "an MPI launcher started {processes} processes, and this program was built without the Cargo feature `mpi`"
    )]
    NotCompiled {
        /// How many it started.
        processes: usize,
    },
    /// MPI does not know of the other processes.
    #[error(
        "a launcher started {processes} processes, of which MPI knows {found}: start them by the mpirun of the MPI that this program was built with"
    )]
    Apart {
        /// How many were started.
        processes: usize,
        /// How many MPI knows.
        found: usize,
    },
    /// MPI is in use already.
    #[error("this process has joined its MPI job already")]
    Joined,
}

/// The number of processes that an MPI launcher started this one among; 1 without a launcher.
pub fn launched_processes() -> usize {
    processes_of(|name| std::env::var(name).ok())
}

fn processes_of(get: impl Fn(&str) -> Option<String>) -> usize {
    let numbers = LAUNCHERS
        .iter()
        .filter_map(|name| get(name)?.trim().parse().ok());
    numbers.max().unwrap_or(1)
}

/// Joins the job that a launcher started; `None` when this process is alone.
///
/// # Errors
///
/// When the program was built without MPI, or the job was joined before.
pub fn join() -> Result<Option<Job>, MpiError> {
    match launched_processes() {
        0 | 1 => Ok(None),
        processes => Job::join(processes).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_tell_the_number_of_processes() {
        let of = |name: &'static str, value: &'static str| {
            processes_of(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(of("OMPI_COMM_WORLD_SIZE", "4"), 4);
        assert_eq!(of("PMI_SIZE", "2"), 2);
        assert_eq!(of("PMI_SIZE", "many"), 1);
        assert_eq!(of("SLURM_STEP_NUM_TASKS", "3"), 3);
        assert_eq!(of("SLURM_NTASKS", "8"), 1);
    }
}
