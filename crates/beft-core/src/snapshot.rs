use std::collections::BTreeMap;

use crate::BiasSite;

/// The values of bias vectors at one moment, as `f32`, ordered by layer and term.
///
/// Scores that are based on change need two snapshots: one before and one after fine-tuning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BiasSnapshot {
    values: BTreeMap<BiasSite, Vec<f32>>,
}

/// A site with its vectors before and after, as [`BiasSnapshot::pairs`] gives them.
pub type BiasPair<'a> = (BiasSite, &'a [f32], &'a [f32]);

/// Two snapshots that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A site is in one snapshot only.
    #[error(
        "bias {site} is only in the snapshot taken {present}: both must come from the same model"
    )]
    SiteMismatch {
        /// The site.
        site: BiasSite,
        /// `before` or `after`.
        present: &'static str,
    },
    /// A site's vectors differ in length.
    #[error(
        "bias {site} has length {before} before and {after} after: both must come from the same model"
    )]
    LengthMismatch {
        /// The site.
        site: BiasSite,
        /// Length before.
        before: usize,
        /// Length after.
        after: usize,
    },
    /// A value is NaN or infinite.
    #[error("bias {site} holds a value that is not finite: the run that produced it diverged")]
    NotFinite {
        /// The site.
        site: BiasSite,
    },
}

impl BiasSnapshot {
    /// An empty snapshot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores the vector of a site, replacing an earlier one.
    pub fn insert(&mut self, site: BiasSite, values: Vec<f32>) {
        self.values.insert(site, values);
    }

    /// The vector of a site.
    pub fn get(&self, site: BiasSite) -> Option<&[f32]> {
        self.values.get(&site).map(Vec::as_slice)
    }

    /// Sites and vectors, by layer and then by term.
    pub fn iter(&self) -> impl Iterator<Item = (BiasSite, &[f32])> {
        self.values.iter().map(|(site, v)| (*site, v.as_slice()))
    }

    /// Number of sites.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no site is stored.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Pairs every site's vector before (`self`) and `after`, checked to have the same sites, the
    /// same lengths and finite values.
    ///
    /// # Errors
    ///
    /// The first mismatch, named by site.
    pub fn pairs<'a>(&'a self, after: &'a Self) -> Result<Vec<BiasPair<'a>>, SnapshotError> {
        for (site, _) in after.iter() {
            if self.get(site).is_none() {
                return Err(SnapshotError::SiteMismatch {
                    site,
                    present: "after",
                });
            }
        }
        self.iter()
            .map(|(site, b0)| {
                let b1 = after.get(site).ok_or(SnapshotError::SiteMismatch {
                    site,
                    present: "before",
                })?;
                if b0.len() != b1.len() {
                    return Err(SnapshotError::LengthMismatch {
                        site,
                        before: b0.len(),
                        after: b1.len(),
                    });
                }
                if b0.iter().chain(b1).any(|x| !x.is_finite()) {
                    return Err(SnapshotError::NotFinite { site });
                }
                Ok((site, b0, b1))
            })
            .collect()
    }
}

impl FromIterator<(BiasSite, Vec<f32>)> for BiasSnapshot {
    fn from_iter<I: IntoIterator<Item = (BiasSite, Vec<f32>)>>(iter: I) -> Self {
        Self {
            values: iter.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BiasTerm::{K, V};

    fn snapshot(entries: &[(BiasSite, &[f32])]) -> BiasSnapshot {
        entries.iter().map(|(s, v)| (*s, v.to_vec())).collect()
    }

    #[test]
    fn pairs_report_the_site_that_does_not_fit() {
        let (v0, k0) = (BiasSite::new(0, V), BiasSite::new(0, K));
        let a = snapshot(&[(v0, &[1.0, 2.0])]);
        assert_eq!(a.pairs(&a).unwrap().len(), 1);
        assert_eq!(
            a.pairs(&snapshot(&[])).unwrap_err(),
            SnapshotError::SiteMismatch {
                site: v0,
                present: "before"
            }
        );
        assert_eq!(
            a.pairs(&snapshot(&[(v0, &[1.0, 2.0]), (k0, &[0.0])]))
                .unwrap_err(),
            SnapshotError::SiteMismatch {
                site: k0,
                present: "after"
            }
        );
        assert_eq!(
            a.pairs(&snapshot(&[(v0, &[1.0])])).unwrap_err(),
            SnapshotError::LengthMismatch {
                site: v0,
                before: 2,
                after: 1
            }
        );
        assert_eq!(
            a.pairs(&snapshot(&[(v0, &[1.0, f32::NAN])])).unwrap_err(),
            SnapshotError::NotFinite { site: v0 }
        );
    }
}
