use std::sync::Arc;

use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use mpi::{Count, Threading};

use beft_train::Peers;

use crate::MpiError;

/// An MPI job, of which this process is one. MPI ends when it is dropped.
pub struct Job {
    _universe: Universe,
    peers: Arc<MpiPeers>,
}

/// The processes of `MPI_COMM_WORLD`.
#[derive(Debug)]
struct MpiPeers {
    rank: usize,
    count: usize,
}

impl Job {
    pub(crate) fn join(processes: usize) -> Result<Self, MpiError> {
        // One thread at a time calls MPI, and not always the same.
        let joined = mpi::initialize_with_threading(Threading::Serialized);
        let (universe, _) = joined.ok_or(MpiError::Joined)?;
        let world = universe.world();
        let peers = MpiPeers {
            rank: world.rank().unsigned_abs() as usize,
            count: world.size().unsigned_abs() as usize,
        };
        let found = peers.count;
        if found != processes {
            return Err(MpiError::Apart { processes, found });
        }
        Ok(Self {
            _universe: universe,
            peers: Arc::new(peers),
        })
    }

    /// Its processes.
    pub fn peers(&self) -> Arc<dyn Peers> {
        self.peers.clone()
    }

    /// Ends all processes at once, with this exit code.
    pub fn abort(self, code: u8) -> ! {
        SimpleCommunicator::world().abort(i32::from(code))
    }
}

impl Peers for MpiPeers {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        // MPI ends all processes when one cannot be reached: there is no error to give.
        let world = SimpleCommunicator::world();
        let length =
            Count::try_from(mine.len()).map_err(|_| "more than 2 GB at a time".to_owned())?;
        let mut lengths = vec![0; self.count];
        world.all_gather_into(&length, &mut lengths[..]);
        let starts: Vec<Count> = lengths
            .iter()
            .scan(0, |end, length| {
                let start = *end;
                *end += length;
                Some(start)
            })
            .collect();
        let all: Count = lengths.iter().sum();
        // Open MPI takes a gathering of nothing for an error.
        if all == 0 {
            return Ok(vec![Vec::new(); self.count]);
        }
        let mut bytes = vec![0u8; all.unsigned_abs() as usize];
        let mut places = PartitionMut::new(&mut bytes[..], &lengths[..], &starts[..]);
        world.all_gather_varcount_into(mine, &mut places);
        let mut rest = bytes.as_slice();
        let parts = lengths.iter().map(|length| {
            let (part, more) = rest.split_at(length.unsigned_abs() as usize);
            rest = more;
            part.to_vec()
        });
        Ok(parts.collect())
    }
}
