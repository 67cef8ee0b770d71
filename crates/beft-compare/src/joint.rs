use std::collections::HashMap;

use beft_core::{BiasTerm, OuterTerm, TermSet};
use burn::tensor::Device;

use crate::{CompareError, Trial, TrialMode};
use beft::{Base, Error};

/// The lowest layer in which training these biases changes something; the number of layers where it is none. `still` says
/// whether key biases change nothing.
pub(crate) fn lowest_layer(
    terms: &TermSet,
    layers: usize,
    still: bool,
) -> Result<usize, CompareError> {
    if terms.outer().any(|term| term == OuterTerm::Embeddings) {
        return Ok(0);
    }
    let sites = terms.sites(layers).map_err(Error::from)?;
    let still = still && sites.iter().all(|site| site.term == BiasTerm::K);
    let lowest = sites.first().filter(|_| !still);
    Ok(lowest.map_or(layers, |site| site.layer))
}

/// Groups trials that train together over one backbone ([`tune_together`](beft::tune_together)), at most `most`
/// of them in a group. Returns their numbers in `trials`.
///
/// Biases that leave the same layers unchanged train together: nothing is recorded below those layers, and
/// without dropout they are computed once. A trial of another mode trains alone.
///
/// # Errors
///
/// When a model cannot be opened, or a mode does not fit it.
pub fn joint_trials(trials: &[Trial], most: usize) -> Result<Vec<Vec<usize>>, CompareError> {
    let mut models: HashMap<&str, (usize, bool)> = HashMap::new();
    let mut groups: Vec<((Trial, usize), Vec<usize>)> = Vec::new();
    let mut alone = Vec::new();
    for (index, trial) in trials.iter().enumerate() {
        let mode: TrialMode = trial.mode.parse()?;
        let Some(terms) = mode.terms() else {
            alone.push(vec![index]);
            continue;
        };
        let (layers, ignores_key_bias) = match models.get(trial.model.as_str()) {
            Some(known) => *known,
            None => {
                // The device decides nothing here: only config and tokenizer are read.
                let found = Base::open(&trial.model, None, &Device::default())?;
                let known = (
                    found.config().num_layers(),
                    found.config().ignores_key_bias(),
                );
                models.insert(&trial.model, known);
                known
            }
        };
        let lowest = lowest_layer(terms, layers, ignores_key_bias)?;
        // Trials that train together may differ in these alone.
        let shared = Trial {
            mode: String::new(),
            seed: 0,
            learning_rate: 0.0,
            scorers: Vec::new(),
            ..trial.clone()
        };
        let key = (shared, lowest);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(index),
            None => groups.push((key, vec![index])),
        }
    }
    let most = most.max(1);
    let mut joint = Vec::new();
    for (_, group) in groups {
        // As equal in size as can be.
        let count = group.len().div_ceil(most);
        let size = group.len().div_ceil(count);
        joint.extend(group.chunks(size).map(<[usize]>::to_vec));
    }
    joint.extend(alone);
    Ok(joint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_together() {
        let model = tempfile::tempdir().unwrap();
        beft_demo::write_model(model.path()).unwrap();
        let trial = |mode: &str, seed, epochs| Trial {
            model: model.path().display().to_string(),
            epochs,
            learning_rate: 1e-3 * f64::from(seed + 1),
            ..crate::test::trial(mode, seed)
        };
        let trials = [
            trial("frozen", 0, 3),
            trial("q", 0, 3),
            trial("k", 0, 3),
            trial("v", 0, 3),
            trial("all", 0, 3),
            trial("lora-v", 0, 3),
            trial("v@1", 0, 3),
            trial("q", 1, 3),
            trial("v", 1, 4),
        ];
        let together = joint_trials(&trials, 8).unwrap();
        assert_eq!(
            together,
            [vec![0, 2], vec![1, 3, 4, 7], vec![6], vec![8], vec![5]]
        );
        let fewer = joint_trials(&trials, 3).unwrap();
        assert_eq!(fewer[1..3], [vec![1, 3], vec![4, 7]]);
        assert_eq!(joint_trials(&trials, 1).unwrap().len(), trials.len());
        assert!(joint_trials(&[trial("v@99", 0, 1)], 8).is_err());
    }
}
