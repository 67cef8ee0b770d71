//! Pictures of evaluations.

use beft_plot::{ReliabilityStep, confusion_svg, reliability_svg};

use super::Details;

/// A picture of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The name of its file.
    pub file: String,
    /// Its content.
    pub svg: String,
}

impl Picture {
    /// The picture in Markdown, beside which its file lies.
    pub fn link(&self) -> String {
        format!("![{}]({})", self.file.trim_end_matches(".svg"), self.file)
    }
}

/// Draws the confusion matrix and the calibration of an evaluation on `task`, where it has them; `suffix` tells the
/// files of several splits apart.
pub fn pictures(details: &Details, task: &str, suffix: &str) -> Vec<Picture> {
    let mut pictures = Vec::new();
    if !details.confusion.is_empty() {
        let names: Vec<String> = details.classes.iter().map(|c| c.label.clone()).collect();
        let title = format!(
            "{task}: {} examples by true and predicted class",
            details.examples
        );
        pictures.push(Picture {
            file: format!("confusion{suffix}.svg"),
            svg: confusion_svg(&names, &details.confusion, &title),
        });
    }
    if let Some(calibration) = &details.calibration {
        let bins = calibration.bins.iter();
        let steps = bins.map(|bin| (bin.count, bin.probability, bin.right));
        let steps: Vec<ReliabilityStep> = steps.collect();
        let title = format!("{task}: calibration error {:.3}", calibration.ece);
        let svg = reliability_svg(&steps, &title);
        pictures.extend(svg.map(|svg| Picture {
            file: format!("reliability{suffix}.svg"),
            svg,
        }));
    }
    pictures
}
