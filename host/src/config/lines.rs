//! Lines and columns of a text, by offset.

/// The offset at which each line of a text starts.
#[derive(Debug, Clone)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(starts).collect())
    }

    /// Returns the line and column of an offset, both counted from 1, columns in characters.
    pub(super) fn place(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= offset);
        let before = text.get(self.0[line - 1]..offset.min(text.len()));
        (line, before.unwrap_or_default().chars().count() + 1)
    }

    /// Returns the offset of a line's start; lines are counted from 0 here.
    pub(super) fn start(&self, line: usize) -> usize {
        self.0[line]
    }

    /// Returns a line with its end; lines are counted from 0 here.
    pub(super) fn line<'t>(&self, text: &'t str, line: usize) -> &'t str {
        let end = self.0.get(line + 1).copied().unwrap_or(text.len());
        text.get(self.0[line]..end).unwrap_or_default()
    }
}
