//! How many words of a transcript are wrong.

/// Words that came out wrong, of those that were said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WordErrors {
    /// Words that have to be replaced, inserted or deleted at least.
    pub errors: usize,
    /// Words of the reference.
    pub words: usize,
}

impl WordErrors {
    /// Errors a word; without words, 0 without errors and infinite with some.
    pub fn rate(&self) -> f64 {
        match (self.errors, self.words) {
            (0, 0) => 0.0,
            (errors, words) => errors as f64 / words as f64,
        }
    }
}

impl std::ops::Add for WordErrors {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { errors: self.errors + other.errors, words: self.words + other.words }
    }
}

impl std::iter::Sum for WordErrors {
    fn sum<I: Iterator<Item = Self>>(errors: I) -> Self {
        errors.fold(Self::default(), std::ops::Add::add)
    }
}

impl std::fmt::Display for WordErrors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.errors, self.words)
    }
}

/// Compares a transcript with what was said, both as [`normalise`] leaves them. Takes time and memory by the product of their lengths and
/// by one of them.
pub fn word_errors(reference: &str, transcript: &str) -> WordErrors {
    let (reference, transcript) = (normalise(reference), normalise(transcript));
    let errors = strsim::generic_levenshtein(&reference, &transcript);
    WordErrors { errors, words: reference.len() }
}

/// The words of a text in lower case, without punctuation. Hyphens part words, apostrophes do not. Whole numbers up to 999,999 become
/// words (`45`: `forty five`), `Mr`, `Mrs` and `Dr` are written out.
pub fn normalise(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['\'', '\u{2019}', '\u{2018}'], "");
    // "10,000" is one number, "4, 5" are two.
    let characters: Vec<char> = text.chars().collect();
    let is_digit = |index: usize| characters.get(index).is_some_and(char::is_ascii_digit);
    let joins = |index: usize| {
        index > 0 && is_digit(index - 1) && (1..=3).all(|next| is_digit(index + next)) && !is_digit(index + 4)
    };
    let cleaned: String = characters
        .iter()
        .enumerate()
        .filter(|&(index, &character)| !(character == ',' && joins(index)))
        .map(|(_, &character)| if character.is_alphanumeric() { character } else { ' ' })
        .collect();
    let mut words = Vec::new();
    for word in cleaned.split_whitespace() {
        match word {
            "mr" => words.push("mister".into()),
            "mrs" => words.push("missus".into()),
            "dr" => words.push("doctor".into()),
            _ => match number(word) {
                Some(spelt) => words.extend(spelt.split(' ').map(str::to_owned)),
                None => words.push(word.to_owned()),
            },
        }
    }
    words
}

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// A whole number of up to six digits, in words.
fn number(word: &str) -> Option<String> {
    let digits = (1..=6).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| digits).map(spell)
}

fn spell(number: usize) -> String {
    let with_rest = |head: String, rest: usize| if rest == 0 { head } else { format!("{head} {}", spell(rest)) };
    match number {
        0..20 => SMALL[number].into(),
        20..100 => with_rest(TENS[number / 10].into(), number % 10),
        100..1000 => with_rest(format!("{} hundred", SMALL[number / 100]), number % 100),
        _ => with_rest(format!("{} thousand", spell(number / 1000)), number % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_and_nothing_else() {
        let errors = word_errors("mister john dashwood had five", "Mr. John Dashwood had 5.");
        assert_eq!(errors, WordErrors { errors: 0, words: 5 });
        assert_eq!(word_errors("ill disposed", "ill-disposed").errors, 0);
        assert_eq!(word_errors("do not", "don't"), WordErrors { errors: 2, words: 2 });
    }

    #[test]
    fn errors_are_the_fewest_changes() {
        assert_eq!(word_errors("a b c d", "a c d").errors, 1);
        assert_eq!(word_errors("a b c d", "a x b c d").errors, 1);
        assert_eq!(word_errors("a b c d", "a b y d").errors, 1);
        assert_eq!(word_errors("a b", ""), WordErrors { errors: 2, words: 2 });
        assert_eq!(word_errors("", "a"), WordErrors { errors: 1, words: 0 });
    }

    #[test]
    fn numbers_are_written_out() {
        let spelt = |text: &str| normalise(text).join(" ");
        assert_eq!(spelt("0 9 10 19 20 45"), "zero nine ten nineteen twenty forty five");
        assert_eq!(spelt("300 512 1811 10,000 999999"), "three hundred five hundred twelve one thousand eight hundred eleven ten thousand nine hundred ninety nine thousand nine hundred ninety nine");
        assert_eq!(spelt("4,5, 6"), "four five six");
        assert_eq!(spelt("1234567 4th"), "1234567 4th");
    }

    #[test]
    fn rates_and_sums() {
        let sum: WordErrors =
            [WordErrors { errors: 1, words: 3 }, WordErrors { errors: 1, words: 5 }].into_iter().sum();
        assert_eq!((sum.to_string().as_str(), sum.rate()), ("2 of 8", 0.25));
        assert_eq!(WordErrors::default().rate(), 0.0);
        assert_eq!(WordErrors { errors: 1, words: 0 }.rate(), f64::INFINITY);
    }
}
