//! The processes of an MPI job, of which this one may be.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use beft_mpi::Job;
use beft_train::Team;

use crate::args::Command;
use crate::output::{set_quiet, tell};

/// Membership of a job of several processes; of none where no launcher started this process.
pub(crate) struct Membership {
    job: Option<Job>,
}

impl Membership {
    /// Joins the job that a launcher made.
    ///
    /// # Errors
    ///
    /// When a launcher started several processes of a command that computes in one, or of a program without MPI.
    pub(crate) fn join(command: &Command) -> Result<Self> {
        if !matches!(command, Command::Tune(_)) {
            // Tasks of Slurm may well be parts of a comparison; mpirun says that one job is meant.
            if std::env::var("OMPI_COMM_WORLD_SIZE").is_ok_and(|processes| processes != "1") {
                bail!(
                    "mpirun started several processes, and only `beft tune` computes in several: start one, or give parts of a comparison with --shard"
                );
            }
            return Ok(Self { job: None });
        }
        let joined = Self {
            job: beft_mpi::join()?,
        };
        // One of them tells of the training.
        set_quiet(!joined.team().leads());
        Ok(joined)
    }

    /// The processes that compute a training's steps.
    pub(crate) fn team(&self) -> Team {
        Team {
            peers: self.job.as_ref().map(Job::peers),
            ..Team::default()
        }
    }

    /// Ends the process after an error, and those of its job with it.
    pub(crate) fn fail(self, report: impl FnOnce() -> ExitCode) -> ExitCode {
        let team = self.team();
        let Some(job) = self.job else {
            return report();
        };
        // What all find is told once, by the first.
        if !team.leads() {
            std::thread::sleep(Duration::from_secs(2));
        }
        set_quiet(false);
        tell!("process {} of {} failed:", team.rank(), team.processes());
        report();
        job.abort(2)
    }
}
