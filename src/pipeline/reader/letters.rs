//! Dead letters are written again because somebody said so: those that a topic has at that moment, partition
//! by partition, in chunks, between two transactions. What is still no event is a dead letter again, behind
//! them.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::Sender;
use tracing::{info, warn};

use super::super::assembler::Step;
use super::super::returner::{Ask, Found};
use super::super::{Error, clock};
use super::returning::CHUNK;
use super::{Reader, Surroundings};
use crate::batch::Operation;
use crate::edges::{Class, Sink, Transport};
use crate::kafka;
use crate::order::Reply;
use crate::parked::Letter;
use crate::plan::{Context, MESSAGES, OUTBOX};

/// A Kafka that could not be read is asked again after so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Dead letters that are being written again.
#[derive(Debug)]
pub(super) struct Replaying {
    /// The topics that are left, each with the outboxes that write to it; the first is under way.
    topics: Vec<(String, Vec<String>)>,
    /// The route of letters that have none.
    route: Option<String>,
    /// Which partition, and its offsets that are left, of all partitions of the topic.
    partition: usize,
    left: Option<Vec<Range<i64>>>,
    is_asked: bool,
    rests_until: Option<Instant>,
    /// Letters that enter, and the offset behind them.
    found: Option<(Vec<Letter>, i64)>,
    refusal: Option<String>,
    events: usize,
    again: usize,
    reply: Option<Sender<Reply>>,
    /// All is in batches; what is said when they are in Kafka.
    ended: Option<Reply>,
}

impl Replaying {
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Does what an operator has told.
    pub(super) fn replay(
        &mut self,
        (outbox, route): (Option<String>, Option<String>),
        reply: Sender<Reply>,
    ) {
        let topics = self.assembler.letter_topics().into_iter();
        let is_its = |names: &Vec<String>| {
            outbox.as_ref().is_none_or(|outbox| names.iter().any(|name| name == outbox))
        };
        let topics: Vec<_> = topics.filter(|(_, names)| is_its(names)).collect();
        let refused = if self.replaying.is_some() {
            Some("dead letters are being written again already")
        } else if topics.is_empty() {
            Some("there is no such outbox with a dead_letter_topic")
        } else {
            None
        };
        if let Some(why) = refused {
            // Nobody waits any more.
            let _ = reply.send(Reply::Refused(why.to_owned()));
            return;
        }
        info!(?topics, route, "dead letters are written again, as an operator has told");
        self.replaying = Some(Replaying {
            topics,
            route,
            partition: 0,
            left: None,
            is_asked: false,
            rests_until: None,
            found: None,
            refusal: None,
            events: 0,
            again: 0,
            reply: Some(reply),
            ended: None,
        });
    }

    /// Whether letters enter here.
    pub(super) fn is_letter_due(&self) -> bool {
        self.replaying.as_ref().is_some_and(|replaying| replaying.found.is_some())
            && self.assembler.entrance(self.session.keepalive()).is_some()
    }

    /// Asks for what comes next.
    pub(super) fn tend_letters(&mut self) -> Result<(), Error> {
        let is_quiet = self.around.writer.is_idle() && self.current.is_empty();
        let Some(replaying) = &mut self.replaying else { return Ok(()) };
        if replaying.ended.is_some() && is_quiet {
            self.answer_replay();
            return Ok(());
        }
        let is_resting = replaying.rests_until.is_some_and(|until| clock::now() < until);
        let is_under_way = replaying.is_asked || replaying.found.is_some() || is_resting;
        if is_under_way || replaying.ended.is_some() {
            return Ok(());
        }
        if let Some(left) = &replaying.left {
            while left.get(replaying.partition).is_some_and(Range::is_empty) {
                replaying.partition += 1;
            }
            if left.len() <= replaying.partition {
                replaying.topics.remove(0);
                (replaying.left, replaying.partition) = (None, 0);
            }
        }
        let Some((topic, _)) = replaying.topics.first() else {
            self.end_replay(None);
            return Ok(());
        };
        let ask = match &replaying.left {
            None => Ask::LetterOffsets(topic.clone()),
            Some(left) => {
                let offsets = left.get(replaying.partition).cloned().unwrap_or_default();
                let partition = i32::try_from(replaying.partition).unwrap_or(i32::MAX);
                Ask::Letters(topic.clone(), partition, offsets)
            }
        };
        let Surroundings { parker, kafka, .. } = &mut self.around;
        replaying.is_asked = parker.returner.ask(kafka, ask, CHUNK)?;
        Ok(())
    }

    /// Takes what was read.
    pub(super) fn on_letters_read(&mut self, answer: Result<Found, kafka::Error>) {
        let Some(replaying) = &mut self.replaying else { return };
        replaying.is_asked = false;
        match answer {
            Ok(Found::LetterOffsets(mut offsets)) => {
                if let Some((topic, _)) = replaying.topics.first() {
                    let done = self.assembler.letters_done(topic);
                    for (offsets, done) in offsets.iter_mut().zip(done) {
                        offsets.start = offsets.start.max(*done);
                    }
                }
                replaying.left = Some(offsets);
            }
            Ok(Found::Letters(letters, next)) => replaying.found = Some((letters, next)),
            Ok(Found::Parked(_)) => {}
            Err(error) if error.class() == Class::Fatal => self.end_replay(Some(error.to_string())),
            Err(error) => {
                warn!(%error, "dead letters could not be read; they are asked for again");
                replaying.rests_until = Some(clock::now() + ASK_AGAIN_AFTER);
            }
        }
    }

    /// What an event's topic or schema comes to ends it.
    pub(super) fn refuse_letters(&mut self, why: String) {
        if let Some(replaying) = &mut self.replaying {
            replaying.refusal = Some(why);
        }
    }

    /// Lets letters enter.
    pub(super) async fn enter_letters(&mut self) -> Result<(), Error> {
        let Some(entrance) = self.assembler.entrance(self.session.keepalive()) else {
            return Ok(());
        };
        let found = self.replaying.as_mut().and_then(|replaying| replaying.found.take());
        let Some((letters, mut next)) = found else { return Ok(()) };
        self.assembler.begin_return(entrance);
        for letter in &letters {
            if !self.enter_letter(letter).await? {
                next = letter.offset;
                break;
            }
        }
        let Some(replaying) = &mut self.replaying else { return Ok(()) };
        let partition = replaying.partition;
        if let Some(left) = replaying.left.as_mut().and_then(|left| left.get_mut(partition)) {
            left.start = next;
        }
        if let Some((topic, _)) = replaying.topics.first() {
            self.assembler.end_letters(topic, partition, next, &self.current);
        }
        if let Some(why) = replaying.refusal.take() {
            self.end_replay(Some(why));
        }
        Ok(())
    }

    /// Lets one enter; whether it is in.
    async fn enter_letter(&mut self, letter: &Letter) -> Result<bool, Error> {
        let context = Context { now_us: clock::wall_us() };
        let Some(replaying) = &mut self.replaying else { return Ok(false) };
        let outboxes = replaying.topics.first().map(|(_, outboxes)| outboxes.as_slice());
        let outbox = match (letter.header(OUTBOX), outboxes) {
            (Some(outbox), _) => outbox.to_owned(),
            // It was written by a version that did not say so.
            (None, Some([only])) if only == MESSAGES || !only.contains('*') => only.clone(),
            (None, _) => {
                let why = format!(
                    "the letter at offset {} does not say of which outbox it is",
                    letter.offset
                );
                replaying.refusal = Some(why);
                return Ok(false);
            }
        };
        let route = replaying.route.clone();
        let before = self.current.records().len();
        loop {
            let what = (&*outbox, letter, route.as_deref());
            match self.assembler.on_letter(what, &context, &mut self.current)? {
                Step::Need(need) => self.answer(need).await?,
                _ => break,
            }
            let Some(replaying) = &mut self.replaying else { return Ok(false) };
            if !self.assembler.has_letters_of(&outbox) {
                replaying
                    .refusal
                    .get_or_insert_with(|| format!("there is no outbox {outbox} any more"));
            }
            if replaying.refusal.is_some() {
                return Ok(false);
            }
        }
        let written = self.current.records().get(before..).unwrap_or_default();
        let is_again = written.iter().any(|it| it.operation == Operation::DeadLetter);
        if let Some(replaying) = &mut self.replaying {
            (replaying.again, replaying.events) = (
                replaying.again + usize::from(is_again),
                replaying.events + usize::from(!is_again),
            );
        }
        Ok(true)
    }

    /// All of them are in, or no more can be.
    fn end_replay(&mut self, why: Option<String>) {
        self.assembler.forget_letters();
        let Some(replaying) = &mut self.replaying else { return };
        let Replaying { events, again, .. } = replaying;
        let done = match (events, again) {
            (0, 0) => "there is no dead letter that was not looked at".to_owned(),
            (events, 0) => format!("{events} dead letters are events now"),
            (events, again) => {
                format!("{events} dead letters are events now, and {again} are dead letters again")
            }
        };
        info!(%done, why, "dead letters");
        replaying.ended = Some(match why {
            None => Reply::Done(done),
            Some(why) => Reply::Refused(format!("{why} ({done})")),
        });
    }

    /// All of it is in Kafka: who has asked is told.
    fn answer_replay(&mut self) {
        if let Some(mut replaying) = self.replaying.take()
            && let (Some(reply), Some(said)) = (replaying.reply.take(), replaying.ended.take())
        {
            // Nobody waits any more.
            let _ = reply.send(said);
        }
    }
}
