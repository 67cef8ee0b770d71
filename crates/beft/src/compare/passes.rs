use std::collections::HashMap;

use beft_core::BiasTerm;
use beft_modes::Mode;
use burn::tensor::Device;

use crate::compare::Cell;
use crate::{Base, Error};

/// Divides cells into passes: cells of one pass train together over one backbone
/// ([`tune_together`](crate::tune_together)). Numbers of `cells`, at most `most` in a pass.
///
/// Biases that leave the same layers as they are go together: nothing is recorded below for them,
/// and without dropout what is below is computed once. Other modes have a pass of their own.
///
/// # Errors
///
/// When a model cannot be opened, or a mode does not fit it.
pub fn passes(cells: &[Cell], most: usize) -> Result<Vec<Vec<usize>>, Error> {
    let usage = |e: &dyn std::fmt::Display| Error::Usage(e.to_string());
    let mut models: HashMap<&str, (usize, bool)> = HashMap::new();
    let mut groups: Vec<((Cell, usize), Vec<usize>)> = Vec::new();
    let mut alone = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let mode: Mode = cell.mode.parse().map_err(|e| usage(&e))?;
        let Some(terms) = mode.terms() else {
            alone.push(vec![index]);
            continue;
        };
        let (layers, ignores_key_bias) = match models.get(cell.model.as_str()) {
            Some(known) => *known,
            None => {
                // The device decides nothing here: only config and tokenizer are read.
                let found = Base::open(&cell.model, None, &Device::default())?;
                let facts = (found.num_layers(), found.ignores_key_bias());
                models.insert(&cell.model, facts);
                facts
            }
        };
        let sites = terms.sites(layers).map_err(|e| usage(&e))?;
        let still = ignores_key_bias && sites.iter().all(|site| site.term == BiasTerm::K);
        let lowest = sites.first().filter(|_| !still).map_or(layers, |s| s.layer);
        // What cells of one pass may differ in.
        let shared = Cell {
            mode: String::new(),
            seed: 0,
            learning_rate: 0.0,
            scorers: Vec::new(),
            ..cell.clone()
        };
        let key = (shared, lowest);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(index),
            None => groups.push((key, vec![index])),
        }
    }
    let most = most.max(1);
    let mut passes = Vec::new();
    for (_, group) in groups {
        // As equal in size as can be.
        let count = group.len().div_ceil(most);
        let size = group.len().div_ceil(count);
        passes.extend(group.chunks(size).map(<[usize]>::to_vec));
    }
    passes.extend(alone);
    Ok(passes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_together() {
        let model = tempfile::tempdir().unwrap();
        beft_demo::write_model(model.path()).unwrap();
        let cell = |mode: &str, seed, epochs| Cell {
            model: model.path().display().to_string(),
            epochs,
            learning_rate: 1e-3 * f64::from(seed + 1),
            ..crate::compare::test::cell(mode, seed)
        };
        let cells = [
            cell("frozen", 0, 3),
            cell("q", 0, 3),
            cell("k", 0, 3),
            cell("v", 0, 3),
            cell("all", 0, 3),
            cell("lora-v", 0, 3),
            cell("v@1", 0, 3),
            cell("q", 1, 3),
            cell("v", 1, 4),
        ];
        let together = passes(&cells, 8).unwrap();
        assert_eq!(
            together,
            [vec![0, 2], vec![1, 3, 4, 7], vec![6], vec![8], vec![5]]
        );
        let fewer = passes(&cells, 3).unwrap();
        assert_eq!(fewer[1..3], [vec![1, 3], vec![4, 7]]);
        assert_eq!(passes(&cells, 1).unwrap().len(), cells.len());
        assert!(passes(&[cell("v@99", 0, 1)], 8).is_err());
    }
}
