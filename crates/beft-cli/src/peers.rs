//! The processes of an MPI job, of which this one may be.

use std::process::ExitCode;

use anyhow::{Result, bail};
use beft_train::Team;

use crate::args::Command;

/// The variables by which launchers (Open MPI's and MPICH's `mpirun`, Slurm's `srun --mpi=pmi2`) tell the number of
/// processes.
const LAUNCHERS: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Membership of a job of several processes; of a job of one where no launcher started this process.
pub(crate) struct Membership {
    #[cfg(feature = "mpi")]
    job: Option<beft_train::MpiJob>,
}

/// The number of processes that a launcher started this one among; 1 without a launcher.
fn launched() -> usize {
    let numbers = LAUNCHERS
        .iter()
        .filter_map(|name| std::env::var(name).ok()?.trim().parse().ok());
    numbers.max().unwrap_or(1)
}

impl Membership {
    /// Joins the job that a launcher made.
    ///
    /// # Errors
    ///
    /// When a launcher started several processes of a command that computes in one, or of a program without MPI.
    pub(crate) fn join(command: &Command) -> Result<Self> {
        let processes = launched();
        if processes > 1 && !matches!(command, Command::Tune(_)) {
            bail!(
                "an MPI launcher started {processes} processes, and only `beft tune` computes in several: start one, or give parts of a comparison with --shard"
            );
        }
        #[cfg(not(feature = "mpi"))]
        if processes > 1 {
            bail!(
                "an MPI launcher started {processes} processes, and this program was built without MPI: build it with --features mpi"
            );
        }
        let joined = Self {
            #[cfg(feature = "mpi")]
            job: match processes {
                1 => None,
                _ => beft_train::MpiJob::join(),
            },
        };
        // One of them tells of the training.
        crate::output::set_quiet(!joined.team().leads());
        Ok(joined)
    }

    /// The processes that compute a training's steps.
    pub(crate) fn team(&self) -> Team {
        let mut team = Team::default();
        #[cfg(feature = "mpi")]
        {
            team.peers = self.job.as_ref().map(|job| job.peers());
        }
        // Without MPI there is nothing to add.
        let _ = &mut team;
        team
    }

    /// Ends the process after an error, and those of its job with it.
    pub(crate) fn fail(self, report: impl FnOnce() -> ExitCode) -> ExitCode {
        #[cfg(feature = "mpi")]
        if let Some(job) = self.job {
            let (rank, count) = (job.peers().rank(), job.peers().count());
            // What all find is told once, by the first.
            if rank > 0 {
                std::thread::sleep(std::time::Duration::from_secs(2));
            }
            crate::output::set_quiet(false);
            crate::output::tell!("process {rank} of {count} failed:");
            report();
            job.abort(2);
        }
        report()
    }
}
