//! "Did you mean …?": the nearest of the names that would have been right.

/// The clause ` (did you mean \`name\`?)`, or nothing if no name is near.
pub fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(wrong, names) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

/// The nearest name within a third of its length (at least one edit); of equals the first.
fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    names
        .into_iter()
        .map(|name| (edits(&wrong, &name.to_lowercase()), name))
        .filter(|(edits, name)| *edits <= (name.chars().count() / 3).clamp(1, 4))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// The least number of characters to insert, remove, replace or swap with the next one
/// (optimal string alignment).
pub fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_nothing_far() {
        let names = ["water_level", "rainfall", "within", "within_time"];
        assert_eq!(nearest("watr_levle", names), Some("water_level"));
        assert_eq!(nearest("Rainfal", names), Some("rainfall"));
        assert_eq!(nearest("wihtin", names), Some("within"));
        assert_eq!(nearest("temperature", names), None);
        assert_eq!(nearest("", names), None);
    }
}
