//! A table of invented sales for the sample report, which is always the same.

use std::fmt::Write;

/// The number of sales.
pub(super) const COUNT: usize = 5_000;

/// The countries with their relative frequencies.
const COUNTRIES: [(&str, u32); 12] = [
    ("Germany", 18),
    ("France", 14),
    ("United Kingdom", 13),
    ("Italy", 11),
    ("Spain", 9),
    ("Poland", 8),
    ("Netherlands", 7),
    ("Sweden", 6),
    ("Côte d\u{2019}Ivoire", 5),
    ("Korea, Republic of", 4),
    ("Ireland", 3),
    ("Norway", 2),
];

/// The products with their prices in cents.
const PRODUCTS: [(&str, u32); 6] = [
    ("Snare drum 14\"", 28_900),
    ("Bass drum 22\"", 61_500),
    ("Ride cymbal 20\"", 24_950),
    ("Drum sticks, a pair", 1_290),
    ("Bongos, a pair", 9_900),
    ("Practice pad", 3_495),
];

/// Returns the table, with quotes and commas if names contain them. One in forty records is a return, with a negative amount.
pub(super) fn csv() -> String {
    let mut draw = Draw(0x5EED);
    let mut text = String::from("id,day,country,product,amount\n");
    let all: u32 = COUNTRIES.iter().map(|(_, weight)| weight).sum();
    for id in 1..=COUNT {
        let mut place = draw.below(all);
        let country = COUNTRIES.iter().find(|(_, weight)| {
            let found = place < *weight;
            place = place.saturating_sub(*weight);
            found
        });
        let country = country.map_or("", |(name, _)| name);
        let (product, cents) = PRODUCTS[draw.below(6) as usize];
        let cents = cents - cents / 100 * draw.below(20);
        let sign = if draw.below(40) == 0 { "-" } else { "" };
        let (month, day) = (draw.below(12) + 1, draw.below(28) + 1);
        let product = product.replace('"', "\"\"");
        let amount = format!("{sign}{}.{:02}", cents / 100, cents % 100);
        writeln!(text, "{id},2026-{month:02}-{day:02},\"{country}\",\"{product}\",{amount}")
            .expect("a string takes all");
    }
    text
}

/// A deterministic random number generator, [splitmix64](https://prng.di.unimi.it/splitmix64.c).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed ^ (mixed >> 31)) % u64::from(bound)).expect("below a number of 32 bits")
    }
}
