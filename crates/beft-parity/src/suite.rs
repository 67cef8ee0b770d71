use std::path::{Path, PathBuf};

use burn::tensor::Device;

use beft_fixtures::Fixtures;

use crate::{Check, Expected, ParityError, Tolerance, check_decoder, check_encoder, check_heads};

/// What one model gave.
#[derive(Debug)]
pub struct ModelReport {
    /// Its name.
    pub model: String,
    /// Every comparison.
    pub checks: Vec<Check>,
}

impl ModelReport {
    /// The comparisons that were not within their tolerance.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passes())
    }

    /// The largest error of values that are not zero in exact arithmetic, and the largest that is allowed.
    pub fn worst(&self, tolerance: &Tolerance) -> (f64, f64) {
        let allowed = [
            tolerance.values,
            tolerance.decoder_values,
            tolerance.decoder_after_steps,
        ];
        let own = |check: &&Check| allowed.contains(&check.tolerance);
        let own = self.checks.iter().filter(own);
        let errors = own.clone().map(|check| check.error);
        let worst = errors.fold(
            0.0,
            |worst: f64, e| if e.is_nan() { e } else { worst.max(e) },
        );
        (worst, own.map(|check| check.tolerance).fold(0.0, f64::max))
    }
}

/// A model folder and the file that says what it must give.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Model folder in Hugging Face layout.
    pub model: PathBuf,
    /// Expected tensors.
    pub expected: PathBuf,
}

impl Subject {
    /// Every committed model fixture.
    pub fn committed(fixtures: &Fixtures) -> Vec<Self> {
        let subject = |model: PathBuf| Self {
            expected: model.join("expected.safetensors"),
            model,
        };
        fixtures.models().into_iter().map(subject).collect()
    }

    /// The real MiniLM, if `cargo xtask fetch-minilm` and `minilm-expected` have put it into
    /// `models`.
    pub fn minilm(models: &Path) -> Option<Self> {
        let subject = Self {
            model: models.join("minilm"),
            expected: models.join("minilm-expected.safetensors"),
        };
        (subject.model.is_dir() && subject.expected.is_file()).then_some(subject)
    }

    /// Everything that can be compared on `device`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read; a wrong result is a failed [`Check`].
    pub fn check(
        &self,
        device: &Device,
        tolerance: &Tolerance,
    ) -> Result<ModelReport, ParityError> {
        let name = self.model.file_name().unwrap_or_default();
        let expected = Expected::open(&self.expected)?;
        let check = match self.model.join("cases.json").is_file() {
            true => check_decoder,
            false => check_encoder,
        };
        let mut checks = check(&self.model, &expected, device, tolerance)?;
        checks.extend(check_heads(&self.model, device, tolerance)?);
        Ok(ModelReport {
            model: name.to_string_lossy().into_owned(),
            checks,
        })
    }
}
