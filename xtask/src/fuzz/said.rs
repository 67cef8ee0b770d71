//! What libFuzzer says while it runs.

/// Lines that are kept for a message.
const LINES: usize = 30;

/// What was heard so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Known inputs that it read again when it started, once it has.
    pub(super) known: Option<u64>,
    /// Inputs that it tried, the known ones included.
    pub(super) inputs: u64,
    /// Its last lines.
    pub(super) last: Vec<String>,
}

impl Said {
    pub(super) fn hear(&mut self, line: &str) {
        let count = line.strip_prefix('#').and_then(|rest| {
            let (count, event) = rest.split_once('\t')?;
            event.starts_with("INITED").then(|| count.parse().ok())?
        });
        self.known = self.known.or(count);
        let total = line.strip_prefix("stat::number_of_executed_units:");
        if let Some(total) = total.and_then(|total| total.trim().parse().ok()) {
            self.inputs = total;
        }
        if self.last.len() == LINES {
            self.last.remove(0);
        }
        self.last.push(line.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_are_those_before_the_first_new_one() {
        let mut said = Said::default();
        let lines = [
            "INFO: seed corpus: files: 854 min: 1b max: 24b total: 5012b rss: 83Mb",
            "#512\tpulse  cov: 46750 ft: 94656 corp: 427/1537b exec/s: 17 rss: 124Mb",
        ];
        lines.iter().for_each(|line| said.hear(line));
        assert_eq!((said.known, said.inputs), (None, 0));
        let lines = [
            "#855\tINITED cov: 47498 ft: 100374 corp: 680/3800b exec/s: 20 rss: 124Mb",
            "#862\tNEW    cov: 47498 ft: 100381 corp: 681/3804b lim: 28 exec/s: 21 rss: 124Mb L: 4/24",
            "stat::number_of_executed_units: 1815",
        ];
        lines.iter().for_each(|line| said.hear(line));
        assert_eq!((said.known, said.inputs), (Some(855), 1815));
        assert_eq!(said.last.len(), 5);
        (0..100).for_each(|line| said.hear(&line.to_string()));
        assert_eq!(said.last.len(), LINES);
        assert_eq!(said.last.last().map(String::as_str), Some("99"));
    }
}
