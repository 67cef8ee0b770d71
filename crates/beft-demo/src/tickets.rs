//! Made-up support tickets, as a company exports them: five queues, three languages, quotes, line breaks, emojis, empty
//! cells.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A queue: its name, subjects, and sentences that belong to it.
struct Queue {
    name: &'static str,
    subjects: &'static [&'static str],
    sentences: &'static [&'static str],
}

const QUEUES: [Queue; 5] = [
    Queue {
        name: "billing",
        subjects: &[
            "Invoice {n}",
            "charged twice",
            "Refund",
            "Rechnung {n}",
            "\u{8acb}\u{6c42}\u{66f8}",
        ],
        sentences: &[
            "I was charged twice for invoice {n}.",
            "The amount on my bill is wrong, it says \"{n},00\" instead of the price.",
            "When do I get my money back? \u{1f4b8}",
            "My credit card was debited although I cancelled the subscription.",
            "Bitte korrigieren Sie die Rechnung {n}, der Betrag stimmt nicht.",
            "\u{8acb}\u{6c42}\u{91d1}\u{984d}\u{304c}\u{9593}\u{9055}\u{3063}\u{3066}\u{3044}\u{307e}\u{3059}\u{3002}",
        ],
    },
    Queue {
        name: "delivery",
        subjects: &[
            "Where is my parcel?",
            "Order {n} late",
            "delivery",
            "Lieferung {n}",
            "\u{914d}\u{9054}",
        ],
        sentences: &[
            "My parcel with order {n} has not arrived yet.",
            "Tracking says \"delivered\", but there is no package at my door.",
            "The courier left the box in the rain \u{1f327}\u{fe0f} and the shipment is late.",
            "Can you send the order to another address?",
            "Das Paket {n} ist noch nicht angekommen, wo bleibt die Lieferung?",
            "\u{8377}\u{7269}\u{304c}\u{307e}\u{3060}\u{5c4a}\u{304d}\u{307e}\u{305b}\u{3093}\u{3002}",
        ],
    },
    Queue {
        name: "account",
        subjects: &[
            "Cannot log in",
            "password",
            "Locked out",
            "Konto gesperrt",
            "\u{30ed}\u{30b0}\u{30a4}\u{30f3}",
        ],
        sentences: &[
            "I forgot my password and the reset mail never comes.",
            "My account is locked after three attempts to log in.",
            "Please change the e-mail address of my profile.",
            "The login page says \"unknown user\" \u{1f511}.",
            "Ich kann mich nicht anmelden, mein Konto ist gesperrt.",
            "\u{30d1}\u{30b9}\u{30ef}\u{30fc}\u{30c9}\u{3092}\u{5fd8}\u{308c}\u{307e}\u{3057}\u{305f}\u{3002}",
        ],
    },
    Queue {
        name: "returns",
        subjects: &[
            "Return {n}",
            "Wrong size",
            "send back",
            "R\u{fc}cksendung",
            "\u{8fd4}\u{54c1}",
        ],
        sentences: &[
            "The shoes are too small, I want to return them.",
            "How do I send the item back? There was no return label in the box.",
            "I received the wrong colour and would like to exchange it.",
            "It came broken \u{1f494}, please take it back.",
            "Ich m\u{f6}chte den Artikel zur\u{fc}ckschicken und umtauschen.",
            "\u{30b5}\u{30a4}\u{30ba}\u{304c}\u{5408}\u{308f}\u{306a}\u{3044}\u{306e}\u{3067}\u{8fd4}\u{54c1}\u{3057}\u{305f}\u{3044}\u{3067}\u{3059}\u{3002}",
        ],
    },
    Queue {
        name: "technical",
        subjects: &[
            "App crashes",
            "error {n}",
            "does not work",
            "Fehler {n}",
            "\u{30a8}\u{30e9}\u{30fc}",
        ],
        sentences: &[
            "The app crashes with error {n} when I open it.",
            "After the update the screen stays black.",
            "The website does not load on my phone \u{1f4f1}, only \"error {n}\".",
            "Bluetooth does not connect since version {n}.",
            "Die App st\u{fc}rzt ab, Fehler {n}, seit dem letzten Update.",
            "\u{30a2}\u{30d7}\u{30ea}\u{304c}\u{8d77}\u{52d5}\u{3057}\u{307e}\u{305b}\u{3093}\u{3002}",
        ],
    },
];

/// Sentences that say nothing about the queue.
const FILLERS: [&str; 6] = [
    "Hello,",
    "this is the third time I write.",
    "Thank you in advance!",
    "I have been a customer for years, and I am \"not amused\".",
    "Mit freundlichen Gr\u{fc}\u{df}en",
    "\u{3088}\u{308d}\u{3057}\u{304f}\u{304a}\u{9858}\u{3044}\u{3057}\u{307e}\u{3059}\u{3002}",
];

/// A CSV file of tickets with the columns `ticket`, `customer`, `subject`, `body` and `queue`. Some have no body, some
/// no queue. The same seed gives the same bytes.
pub fn tickets(rows: usize, seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut out = "ticket,customer,subject,body,queue\n".to_owned();
    for row in 0..rows {
        // The first queues are larger than the last ones.
        let queue = &QUEUES[rng
            .random_range(0..QUEUES.len())
            .min(rng.random_range(0..QUEUES.len() + 2))];
        let number = rng.random_range(100..10_000).to_string();
        let mut say = |texts: &[&str]| {
            let text = texts.choose(&mut rng).copied().unwrap_or_default();
            text.replace("{n}", &number)
        };
        let subject = say(queue.subjects);
        let mut body = vec![say(&FILLERS), say(queue.sentences), say(queue.sentences)];
        let closing = say(&FILLERS);
        let chance: u32 = rng.random_range(0..100);
        if chance < 40 {
            body.push(closing);
        }
        let separator = if chance.is_multiple_of(3) { "\n" } else { " " };
        let body = match chance {
            0..4 => String::new(),
            _ => body.join(separator),
        };
        let subject = if chance == 50 { String::new() } else { subject };
        let queue = if chance >= 97 { "" } else { queue.name };
        let customer = rng.random_range(1000..9999).to_string();
        let ticket = format!("T-{:05}", row + 1);
        let cells = [&ticket, &customer, &subject, &body, queue];
        out.push_str(&cells.map(quoted).join(","));
        out.push('\n');
    }
    out
}

/// A cell of CSV.
fn quoted(cell: &str) -> String {
    match cell.contains(['"', ',', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_have_everything_that_is_awkward() {
        let csv = tickets(400, 0);
        assert_eq!(csv, tickets(400, 0));
        assert_ne!(csv, tickets(400, 1));
        for awkward in ["\"\"", "\u{1f4b8}", "\u{fc}", "\u{8acb}", ",\n", ",,"] {
            assert!(csv.contains(awkward), "{awkward:?}");
        }
        for queue in &QUEUES {
            let count = csv.matches(&format!(",{}\n", queue.name)).count();
            assert!(count > 20, "{}: {count}", queue.name);
        }
    }
}
