//! A plain table with aligned columns. Columns that are empty in every row are left out.

/// A table under construction.
pub(super) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has one cell for each head.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.heads.len());
        self.rows.push(cells);
    }

    /// The table with each line indented; nothing at all without rows. Numbers are set to the right.
    pub(super) fn render(&self, indent: &str) -> String {
        let kept: Vec<usize> =
            (0..self.heads.len()).filter(|column| self.rows.iter().any(|row| !row[*column].is_empty())).collect();
        let widths: Vec<usize> = kept.iter().map(|column| self.width(*column)).collect();
        let mut out = String::new();
        if self.rows.is_empty() {
            return out;
        }
        let heads: Vec<String> = self.heads.iter().map(ToString::to_string).collect();
        for cells in std::iter::once(&heads).chain(&self.rows) {
            let mut line = indent.to_owned();
            for (column, width) in kept.iter().zip(&widths) {
                let cell = &cells[*column];
                let gap = " ".repeat(width - cell.chars().count());
                let right = self.numeric(*column);
                line += &if right { format!("{gap}{cell}  ") } else { format!("{cell}{gap}  ") };
            }
            out += line.trim_end();
            out.push('\n');
        }
        out
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.heads[column].chars().count()]).max().unwrap_or(0)
    }

    fn numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| &row[column]).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_empty_ones_vanish() {
        let mut table = Table::new(&["action", "rule", "priority"]);
        table.row(["a".into(), String::new(), "10.5".into()]);
        table.row(["longer".into(), String::new(), "2".into()]);
        assert_eq!(table.render("  "), "  action  priority\n  a           10.5\n  longer         2\n");
        assert_eq!(Table::new(&["action"]).render(""), "");
    }
}
