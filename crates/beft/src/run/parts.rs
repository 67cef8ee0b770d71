//! The parts of biases that a budget can be spent on.

use std::collections::{BTreeMap, BTreeSet};

use beft_core::{BiasPart, BiasSite, BiasTerm, Head, TermSet};
use beft_decoder::DecoderForCausalLM;
use beft_encoder::EncoderWithHead;
use beft_nn::{BiasModel, param_shapes};
use beft_score::{Part, Parts};
use burn::tensor::Device;

use crate::{Error, ModelConfig};

/// A part with its number of values.
pub(super) struct PartSize {
    pub(super) part: Part,
    pub(super) values: usize,
}

/// Numbers of values of the biases of a model.
pub(super) fn bias_lengths(config: &ModelConfig) -> BTreeMap<BiasSite, usize> {
    // Shapes alone: values are drawn when they are first used.
    let device = Device::default();
    match config {
        ModelConfig::Encoder(config) => {
            lengths(&EncoderWithHead::init(config, Head::Sequence(2), &device))
        }
        ModelConfig::Decoder(config) => lengths(&DecoderForCausalLM::init(config, &device)),
    }
}

fn lengths<M: BiasModel>(model: &M) -> BTreeMap<BiasSite, usize> {
    let shapes = param_shapes(model).into_iter();
    let biases = shapes.filter_map(|(path, shape)| {
        let site = BiasSite::new(path.layer()?, path.term()?);
        Some((site, shape.iter().product()))
    });
    biases.collect()
}

/// The parts of these biases whose training can change something.
pub(super) fn parts(
    config: &ModelConfig,
    lengths: &BTreeMap<BiasSite, usize>,
    wanted: &BTreeSet<BiasSite>,
    kind: Parts,
) -> Vec<PartSize> {
    // What a key bias adds can change nothing, whatever a score says.
    let still = config.ignores_key_bias();
    let learning = wanted
        .iter()
        .filter(|site| !(still && site.term == BiasTerm::K));
    let learning: Vec<BiasSite> = learning.copied().collect();
    let whole = |site: &BiasSite| PartSize {
        part: Part::Bias((*site).into()),
        values: lengths[site],
    };
    let counts = config.head_counts();
    let heads = |site: &BiasSite| -> Vec<PartSize> {
        let count = counts.of(site.term);
        let part = |head| PartSize {
            part: Part::Bias(BiasPart {
                site: *site,
                head: Some(head),
            }),
            values: lengths[site] / count,
        };
        match BiasTerm::QKV.contains(&site.term) {
            true => (0..count).map(part).collect(),
            false => vec![whole(site)],
        }
    };
    match kind {
        Parts::Sites => learning.iter().map(whole).collect(),
        Parts::Heads => learning.iter().flat_map(heads).collect(),
        Parts::Terms => {
            let terms: BTreeSet<BiasTerm> = learning.iter().map(|site| site.term).collect();
            let sum = |term: BiasTerm| -> usize {
                let sites = learning.iter().filter(|site| site.term == term);
                sites.map(|site| lengths[site]).sum()
            };
            let part = |term| PartSize {
                part: Part::Term(term),
                values: sum(term),
            };
            terms.into_iter().map(part).collect()
        }
    }
}

/// Fails where a budget of so many values cannot be spent on the biases of `terms`, before anything is computed.
///
/// # Errors
///
/// When it is smaller than the smallest part, or `terms` names less than the parts are.
pub fn check_budget(
    config: &ModelConfig,
    terms: &TermSet,
    values: usize,
    kind: Parts,
) -> Result<(), Error> {
    let wanted = scored_sites(config, terms)?;
    if kind == Parts::Terms && terms.names_layers() {
        return Err(Error::BudgetOfLayers(terms.clone()));
    }
    let all = parts(config, &bias_lengths(config), &wanted, kind);
    match all.iter().map(|part| part.values).min() {
        None => Err(Error::NothingToSpendOn),
        Some(smallest) if smallest > values => Err(Error::Budget {
            values,
            smallest,
            parts: kind,
        }),
        Some(_) => Ok(()),
    }
}

/// Fails where biases are named that have no scores, or that the model does not have.
///
/// # Errors
///
/// Which.
pub fn check_scored(config: &ModelConfig, terms: &TermSet) -> Result<(), Error> {
    scored_sites(config, terms).map(drop)
}

/// The biases of `terms` that the model has, whole ones alone.
pub(super) fn scored_sites(
    config: &ModelConfig,
    terms: &TermSet,
) -> Result<BTreeSet<BiasSite>, Error> {
    if terms.names_heads() || terms.outer().next().is_some() {
        return Err(Error::NotScored(terms.clone()));
    }
    let mut wanted = terms.sites(config.num_layers())?;
    wanted.retain(|site| config.terms().contains(&site.term));
    Ok(wanted)
}
