//! The thread that reads what is parked, and dead letters, since reading Kafka blocks. It is started when something is to
//! be brought back, asks nothing by itself, and answers one question at a time.

use std::ops::Range;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::{Error, clock};
use crate::config::Kafka;
use crate::kafka::{self, ParkedChanges, ParkedLimits, ParkedReader};
use crate::parked::Letter;

/// What can be asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// The offsets of what each partition of a topic of dead letters has.
    LetterOffsets(String),
    /// Dead letters of a partition, at these offsets.
    Letters(String, i32, Range<i64>),
    /// The changes that are parked of a table, from an offset on.
    Parked(String, i64),
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// The offsets.
    LetterOffsets(Vec<Range<i64>>),
    /// Some letters, and the offset from which on nothing was looked at.
    Letters(Vec<Letter>, i64),
    /// Some changes.
    Parked(ParkedChanges),
}

impl Ask {
    fn is_of_letters(&self) -> bool {
        !matches!(self, Self::Parked(..))
    }
}

#[derive(Debug)]
struct Question {
    number: u64,
    ask: Ask,
    limits: ParkedLimits,
}

/// To which question, whether that was of letters, and what was found.
type Answer = (u64, bool, Result<Found, kafka::Error>);

/// The reader's end. It outlives an attempt to stream, and so may a question.
#[derive(Debug, Default)]
pub(super) struct Returner {
    thread: Option<Thread>,
    /// Of the question that was asked last.
    number: u64,
    /// Of the last questions of parked changes, and of letters.
    awaited: [u64; 2],
}

#[derive(Debug)]
struct Thread {
    questions: mpsc::Sender<Question>,
    answers: mpsc::Receiver<Answer>,
    handle: JoinHandle<()>,
}

/// One is answered, one waits: those of an attempt that is over are answered, too.
const QUESTIONS: usize = 2;

impl Returner {
    /// Asks; `false` if older questions are to be answered first.
    pub(super) fn ask(
        &mut self,
        config: &Kafka,
        ask: Ask,
        limits: ParkedLimits,
    ) -> Result<bool, Error> {
        if self.thread.as_ref().is_some_and(|thread| thread.handle.is_finished()) {
            self.thread = None;
        }
        let thread = match &mut self.thread {
            Some(thread) => thread,
            None => self.thread.insert(start(config)?),
        };
        let (number, of) = (self.number + 1, usize::from(ask.is_of_letters()));
        let is_asked = thread.questions.try_send(Question { number, ask, limits }).is_ok();
        if is_asked {
            self.number = number;
            if let Some(awaited) = self.awaited.get_mut(of) {
                *awaited = number;
            }
        }
        Ok(is_asked)
    }

    /// The answer to the last question, of letters or not; never, if none was asked. Cancel-safe.
    pub(super) async fn answer(&mut self) -> (bool, Result<Found, kafka::Error>) {
        loop {
            match &mut self.thread {
                Some(thread) => match thread.answers.recv().await {
                    Some((number, is_of_letters, answer)) if self.awaited.contains(&number) => {
                        return (is_of_letters, answer);
                    }
                    Some(_) => {}
                    None => self.thread = None,
                },
                None => std::future::pending().await,
            }
        }
    }

    /// Ends the thread, when it has answered what it was asked.
    pub(super) fn end(self) -> Option<JoinHandle<()>> {
        self.thread.map(|thread| thread.handle)
    }
}

fn start(config: &Kafka) -> Result<Thread, Error> {
    let (questions, mut inbox) = mpsc::channel::<Question>(QUESTIONS);
    let (outbox, answers) = mpsc::channel(QUESTIONS);
    let config = config.clone();
    let work = move || {
        let mut reader = None;
        while let Some(question) = inbox.blocking_recv() {
            let Question { number, ask, limits } = question;
            let (since, is_of_letters) = (clock::now(), ask.is_of_letters());
            let answer = match &mut reader {
                Some(reader) => Ok(reader),
                None => ParkedReader::new(&config).map(|new| reader.insert(new)),
            };
            let answer = answer.and_then(|reader| find(reader, &ask, limits));
            tracing::debug!(?ask, took = ?(clock::now() - since), "read what is to come back");
            if answer.is_err() {
                reader = None;
            }
            if outbox.blocking_send((number, is_of_letters, answer)).is_err() {
                return;
            }
        }
    };
    let handle = std::thread::Builder::new().name("returner".to_owned()).spawn(work);
    Ok(Thread { questions, answers, handle: handle.map_err(Error::Thread)? })
}

fn find(reader: &mut ParkedReader, ask: &Ask, limits: ParkedLimits) -> Result<Found, kafka::Error> {
    match ask {
        Ask::LetterOffsets(topic) => reader.letter_offsets(topic).map(Found::LetterOffsets),
        Ask::Letters(topic, partition, offsets) => {
            let found = reader.letters((topic, *partition), offsets.clone(), limits)?;
            Ok(Found::Letters(found.0, found.1))
        }
        Ask::Parked(table, from) => reader.read(table, *from, limits).map(Found::Parked),
    }
}
