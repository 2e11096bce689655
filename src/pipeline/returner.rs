//! The thread that reads what is parked, since reading Kafka blocks. It is started when something is to
//! be brought back, asks nothing by itself, and answers one question at a time.

use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::{Error, clock};
use crate::config::Kafka;
use crate::kafka::{self, ParkedChanges, ParkedLimits, ParkedReader};

/// What is asked.
#[derive(Debug)]
struct Question {
    number: u64,
    table: String,
    from: i64,
    limits: ParkedLimits,
}

type Answer = (u64, Result<ParkedChanges, kafka::Error>);

/// The reader's end. It outlives an attempt to stream, and so may a question.
#[derive(Debug, Default)]
pub(super) struct Returner {
    thread: Option<Thread>,
    /// Of the question that was asked last.
    number: u64,
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
    /// Asks for changes of a table; `false` if older questions are to be answered first.
    pub(super) fn ask(
        &mut self,
        config: &Kafka,
        (table, from): (&str, i64),
        limits: ParkedLimits,
    ) -> Result<bool, Error> {
        if self.thread.as_ref().is_some_and(|thread| thread.handle.is_finished()) {
            self.thread = None;
        }
        let thread = match &mut self.thread {
            Some(thread) => thread,
            None => self.thread.insert(start(config)?),
        };
        let number = self.number + 1;
        let question = Question { number, table: table.to_owned(), from, limits };
        let is_asked = thread.questions.try_send(question).is_ok();
        self.number += u64::from(is_asked);
        Ok(is_asked)
    }

    /// The answer to the last question; never, if none was asked. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Result<ParkedChanges, kafka::Error> {
        loop {
            match &mut self.thread {
                Some(thread) => match thread.answers.recv().await {
                    Some((number, answer)) if number == self.number => return answer,
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
            let Question { number, table, from, limits } = question;
            let since = clock::now();
            let answer = match &mut reader {
                Some(reader) => Ok(reader),
                None => ParkedReader::new(&config).map(|new| reader.insert(new)),
            };
            let answer = answer.and_then(|reader| reader.read(&table, from, limits));
            tracing::debug!(%table, from, took = ?(clock::now() - since), "read what is parked");
            if answer.is_err() {
                reader = None;
            }
            if outbox.blocking_send((number, answer)).is_err() {
                return;
            }
        }
    };
    let handle = std::thread::Builder::new().name("returner".to_owned()).spawn(work);
    Ok(Thread { questions, answers, handle: handle.map_err(Error::Thread)? })
}
