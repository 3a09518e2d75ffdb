//! What happens in one world: drawn from the seed before it begins, so that a step can be left out and the others stay
//! what they were. Whom a step is about is drawn as a number and chosen when its turn comes.

use super::dice::Dice;
use super::fate::CrashPoint;
use super::weather::{ListFault, Log, LookupFault, PointFault, Side, WriteFault};
use super::world::{DAY, HOUR, MINUTE, Ms, SECOND, Status};

/// Whom it is about; taken modulo those who are there.
pub type Whom = u64;

/// Something that happens at the identity provider.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Join,
    /// Joins with the address of somebody who is there or was.
    JoinWithAddressOf(Whom),
    Leave(Whom),
    Return(Whom),
    Set(Whom, Status),
    Delete(Whom, bool),
    Rename(Whom),
    /// Takes the address of another.
    TakeAddress(Whom, Whom),
    Title(Whom, bool),
    Move(Whom, bool),
    /// Deleted and hired again under a new id, with the old address.
    Rehire(Whom),
}

/// Something that somebody does at the workspace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum JournaledWrite {
    /// An account by hand for somebody: with the login, with the mark, or with the mark of one and the login of another.
    Make {
        login_of: Whom,
        marked_for: Option<Whom>,
        active: bool,
        upper: bool,
    },
    SwitchOff(Whom),
    Delete(Whom),
    /// Deleted and made anew with the same login and mark, as single sign-on does.
    Remake(Whom),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// The newest hold, at its revision or an earlier one; then a run of those who were released, or not.
    Approve {
        earlier: bool,
        runs: bool,
    },
    ApproveAll,
    Reject,
    Undo(Whom),
    Pause,
    PauseFor(Ms),
    Resume,
    Forget(Whom),
    LiftAll,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    Source(Side),
    Target(Side),
    List(ListFault),
    Point(Whom, PointFault),
    Log(Log),
    LoginLookups,
    Listing(LookupFault),
    Unlisted(Whom),
    Lookups(LookupFault),
    LookupOf(Whom, LookupFault),
    Get(Whom),
    /// `None` = everybody's writes.
    Write(Option<Whom>, WriteFault, u32),
    LostReplies(u64),
    IndexDelay(Ms),
    Slow(i64),
}

/// What happens while a run is under way.
#[derive(Debug, Clone, PartialEq)]
pub enum Meanwhile {
    Change(Change),
    JournaledWrite(JournaledWrite),
    Decision(Decision),
    /// A run of named people.
    Look(Vec<Whom>),
    /// A full run of the other sync, where there is one.
    OtherSync,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Changes(Vec<Change>),
    JournaledWrite(JournaledWrite),
    Decision(Decision),
    Wait(Ms),
    ClockJump(Ms),
    Restart,
    /// A run without the right to write, and whether what it planned is then carried out as a saved plan.
    DryRun {
        then_applied: bool,
    },
    /// Faults of single people that last until the next such step; none ends them.
    Lasting(Vec<Fault>),
    Run {
        /// `None` = everybody.
        named: Option<Vec<Whom>>,
        by_hand: bool,
        weather: Vec<Fault>,
        meanwhile: Vec<(Ms, Meanwhile)>,
        crash: Option<CrashPoint>,
    },
}

/// Whether this kind of history is played: every kind is, but for those that `GATES=a,b` closes to look at the others.
pub fn plays(kind: &str) -> bool {
    std::env::var("GATES").map_or(true, |closed| !closed.split(',').any(|closed| closed == kind))
}

pub fn draw(seed: u64) -> Vec<Step> {
    let mut dice = Dice::new(seed, 2);
    let steps = dice.between(6, 25);
    let mut all = Vec::new();
    // People who are there before, accounts by hand, and in most worlds a good first run.
    all.push(Step::Changes((0..dice.between(3, 12)).map(|_| Change::Join).collect()));
    for _ in 0..dice.below(4) {
        all.push(Step::JournaledWrite(make(&mut dice)));
    }
    if dice.chance(80) {
        let by_hand = dice.chance(60);
        all.push(Step::Run { named: None, by_hand, weather: Vec::new(), meanwhile: Vec::new(), crash: None });
    }
    all.extend((0..steps).map(|_| step(&mut dice)));
    all
}

fn step(dice: &mut Dice) -> Step {
    match dice.below(100) {
        0..28 => Step::Changes((0..dice.between(1, 3)).map(|_| change(dice)).collect()),
        28..33 => Step::JournaledWrite(deed(dice)),
        33..48 => Step::Decision(decision(dice)),
        48..54 => Step::Wait(dice.pick(&[MINUTE, 15 * MINUTE, HOUR + MINUTE, 6 * HOUR, 25 * HOUR, 8 * DAY])),
        54..56 if plays("clock") => Step::ClockJump(dice.pick(&[2 * HOUR, -2 * HOUR, 30 * DAY, -DAY])),
        54..56 => Step::Restart,
        83..86 => Step::DryRun { then_applied: dice.chance(60) },
        56..59 => Step::Lasting((0..dice.below(3)).map(|_| lasting(dice)).collect()),
        59..83 => Step::Run {
            named: None,
            by_hand: dice.chance(30),
            weather: weather(dice),
            meanwhile: meanwhile(dice),
            crash: crash(dice),
        },
        _ => Step::Run {
            named: Some((0..dice.between(1, 3)).map(|_| dice.next()).collect()),
            by_hand: dice.chance(20),
            weather: weather(dice),
            meanwhile: meanwhile(dice),
            crash: crash(dice),
        },
    }
}

fn change(dice: &mut Dice) -> Change {
    let who = dice.next();
    match dice.below(100) {
        0..16 => Change::Join,
        16..20 if plays("reused address") => Change::JoinWithAddressOf(who),
        16..20 => Change::Join,
        20..42 => Change::Leave(who),
        42..52 => Change::Return(who),
        52..56 => Change::Set(who, Status::Suspended),
        56..60 => Change::Set(who, Status::Disabled),
        60..68 => Change::Set(who, dice.pick(&[Status::Active, Status::LockedOut, Status::Pending])),
        68..74 => Change::Delete(who, dice.chance(85)),
        74..81 => Change::Rename(who),
        81..84 if plays("reused address") => Change::TakeAddress(who, dice.next()),
        81..84 => Change::Title(who, true),
        84..90 => Change::Title(who, dice.chance(80)),
        90..96 => Change::Move(who, dice.chance(60)),
        _ if plays("reused address") => Change::Rehire(who),
        _ => Change::Return(who),
    }
}

fn make(dice: &mut Dice) -> JournaledWrite {
    let login_of = dice.next();
    let marked_for = match dice.below(4) {
        0 => Some(if plays("foreign mark") { dice.next() } else { login_of }),
        _ => None,
    };
    JournaledWrite::Make { login_of, marked_for, active: dice.chance(70), upper: dice.chance(25) }
}

fn deed(dice: &mut Dice) -> JournaledWrite {
    match dice.below(10) {
        0..5 => make(dice),
        5..7 => JournaledWrite::SwitchOff(dice.next()),
        7 => JournaledWrite::Delete(dice.next()),
        _ if plays("remade") => JournaledWrite::Remake(dice.next()),
        _ => JournaledWrite::SwitchOff(dice.next()),
    }
}

fn decision(dice: &mut Dice) -> Decision {
    match dice.below(100) {
        0..40 => Decision::Approve {
            earlier: dice.chance(15),
            runs: dice.chance(75) || !plays("expired approval"),
        },
        40..52 => Decision::Reject,
        52..64 => Decision::Undo(dice.next()),
        64..70 if plays("pause") => Decision::Pause,
        70..75 if plays("pause") => Decision::PauseFor(dice.pick(&[MINUTE, HOUR, DAY])),
        64..85 => Decision::Resume,
        85..93 => Decision::Forget(dice.next()),
        _ => Decision::LiftAll,
    }
}

fn crash(dice: &mut Dice) -> Option<CrashPoint> {
    if !dice.chance(12) {
        return None;
    }
    Some(match dice.below(3) {
        0 => CrashPoint::Request(dice.between(0, 25)),
        1 => CrashPoint::Effect(dice.between(0, 4)),
        _ => CrashPoint::Transaction(dice.between(0, 60)),
    })
}

fn meanwhile(dice: &mut Dice) -> Vec<(Ms, Meanwhile)> {
    if !dice.chance(35) {
        return Vec::new();
    }
    let mut all: Vec<(Ms, Meanwhile)> = (0..dice.between(1, 3))
        .map(|_| {
            let at = dice.between(0, 12) * SECOND + dice.between(0, 999);
            let what = match dice.below(10) {
                0..3 => Meanwhile::Change(change(dice)),
                3 => Meanwhile::OtherSync,
                4 => Meanwhile::JournaledWrite(deed(dice)),
                5 if plays("pause") => Meanwhile::Decision(Decision::Pause),
                5 if plays("stale") => Meanwhile::Decision(Decision::Approve { earlier: false, runs: true }),
                _ if !plays("stale") => Meanwhile::Change(change(dice)),
                _ => Meanwhile::Look((0..dice.between(1, 2)).map(|_| dice.next()).collect()),
            };
            (at, what)
        })
        .collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

fn weather(dice: &mut Dice) -> Vec<Fault> {
    if !dice.chance(45) {
        return Vec::new();
    }
    (0..dice.between(1, 3)).map(|_| fault(dice)).collect()
}

fn fault(dice: &mut Dice) -> Fault {
    loop {
        let fault = any_fault(dice);
        let is_one = matches!(
            fault,
            Fault::Point(_, PointFault::ServerError | PointFault::Forbidden)
                | Fault::LoginLookups
                | Fault::Listing(_)
                | Fault::Lookups(_)
                | Fault::LookupOf(_, _)
                | Fault::Get(_)
        );
        let gate = match fault {
            Fault::Point(_, PointFault::StateMissing) => "unknown state",
            Fault::Point(_, PointFault::Hidden) => "hidden",
            Fault::Write(_, WriteFault::NoSeat, _) => "no seat",
            Fault::Write(
                _,
                WriteFault::Forbidden
                | WriteFault::Permanent
                | WriteFault::Invalid
                | WriteFault::ServerError
                | WriteFault::TimeoutWithoutEffect,
                _,
            ) => "refused removal",
            Fault::Write(_, WriteFault::Queued, _) => "queued",
            Fault::Write(_, WriteFault::TimeoutWithLateEffect, _) => "late effect",
            _ if is_one => "one unreadable",
            _ => "",
        };
        if plays(gate) {
            return fault;
        }
    }
}

fn any_fault(dice: &mut Dice) -> Fault {
    let who = dice.next();
    let lookup = dice.pick(&[LookupFault::Refused, LookupFault::Forbidden, LookupFault::ServerError]);
    match dice.below(100) {
        0..4 => Fault::Source(dice.pick(&[Side::Down, Side::RefusesCredentials])),
        4..8 => Fault::Target(dice.pick(&[Side::Down, Side::RefusesCredentials])),
        8..12 => Fault::List(dice.pick(&[ListFault::Breaks, ListFault::Incomplete, ListFault::Empty])),
        12..26 => Fault::Point(
            who,
            dice.pick(&[
                PointFault::ServerError,
                PointFault::Forbidden,
                PointFault::Inconclusive,
                PointFault::Hidden,
                PointFault::LeftOut,
                PointFault::StateMissing,
            ]),
        ),
        26..30 => Fault::Log(dice.pick(&[Log::NotAllowed, Log::Fails])),
        30..32 => Fault::LoginLookups,
        32..35 => Fault::Listing(lookup),
        35..38 => Fault::Unlisted(who),
        38..40 => Fault::Lookups(lookup),
        40..46 => Fault::LookupOf(who, lookup),
        46..50 => Fault::Get(who),
        50..82 => Fault::Write(Some(who), write_fault(dice), dice.between(1, 4) as u32),
        82..88 => Fault::Write(None, write_fault(dice), dice.between(1, 6) as u32),
        88..94 => Fault::LostReplies(dice.pick(&[20, 50, 100])),
        94..97 if plays("late index") => Fault::IndexDelay(dice.between(1, 9) * MINUTE),
        _ => Fault::Slow(dice.between(2, 40)),
    }
}

/// A fault of one person that does not go away by itself.
fn lasting(dice: &mut Dice) -> Fault {
    let who = dice.next();
    match dice.below(10) {
        // What is left while the engine does not stand more.
        _ if ["unknown state", "refused removal", "no seat", "hidden"].iter().any(|kind| !plays(kind)) => {
            Fault::Write(Some(who), WriteFault::NoBody, 1000)
        }
        0..2 if plays("one unreadable") => Fault::Get(who),
        2..4 if plays("one unreadable") => {
            Fault::Point(who, dice.pick(&[PointFault::ServerError, PointFault::Forbidden]))
        }
        0..4 => Fault::Point(who, PointFault::StateMissing),
        4 => Fault::Point(who, PointFault::Hidden),
        _ => {
            let refusals = [
                WriteFault::Forbidden,
                WriteFault::Permanent,
                WriteFault::NoSeat,
                WriteFault::Invalid,
                WriteFault::ServerError,
                WriteFault::TimeoutWithoutEffect,
            ];
            Fault::Write(Some(who), dice.pick(&refusals), 1000)
        }
    }
}

fn write_fault(dice: &mut Dice) -> WriteFault {
    dice.pick(&[
        WriteFault::Forbidden,
        WriteFault::Permanent,
        WriteFault::NoSeat,
        WriteFault::Invalid,
        WriteFault::ServerError,
        WriteFault::RateLimited,
        WriteFault::Unauthorized,
        WriteFault::Unreachable,
        WriteFault::TimeoutWithoutEffect,
        WriteFault::TimeoutWithEffect,
        WriteFault::GatewayWithEffect,
        WriteFault::TitleRefused,
        WriteFault::NoBody,
        WriteFault::Queued,
        WriteFault::TimeoutWithLateEffect,
    ])
}
