//! A rule's tree of conditions, and its verdict on a caller.
//!
//! The tree is one list in reading order, in which each group knows where it ends, and is walked with a stack of fixed
//! size: no request decides how deep the code goes.

use client_address::Source;
use filter_config::{ConfigError, FieldPath};

use crate::challenge::Scheme;
use crate::config::{NodeConfig, RuleConfig};
use crate::extraction::Extraction;
use crate::reason::Reason;
use crate::requirement::{Denial, Known, Requirement};
use crate::verified::{Callers, Verified};

/// How deep groups may nest; a rule's own is the first.
pub(crate) const MAX_DEPTH: usize = 8;

/// The most places in the tree of one rule.
pub(crate) const MAX_NODES: usize = 128;

/// The conditions of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Tree(Vec<Node>);

#[derive(Clone, Debug)]
enum Node {
    /// A group, and the place behind its last member.
    Group(Group, usize),
    Anonymous,
    Ask(Box<Requirement>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Any,
    All,
    Not,
}

/// What a place in the configuration says, before it is compiled.
enum Form<'c> {
    Group(Group, &'static str, &'c [NodeConfig]),
    Not(&'c NodeConfig),
    Anonymous,
    Ask(&'c NodeConfig),
}

struct Compiler<'a> {
    nodes: Vec<Node>,
    known: &'a Known<'a>,
    extraction: &'a mut Extraction,
}

/// The verdict on a part of the tree.
#[derive(Clone, Copy)]
enum Verdict<'p> {
    Met(Callers),
    /// `certain` is false where it is not known whether the part holds: then its opposite does not either.
    Refused {
        denial: Denial<'p>,
        certain: bool,
    },
}

/// A group that is being judged.
#[derive(Clone, Copy)]
struct Frame<'p> {
    group: Group,
    end: usize,
    callers: Callers,
    met: bool,
    denial: Option<Denial<'p>>,
    certain: bool,
}

/// The groups that are being judged, the innermost last.
struct Stack<'p> {
    frames: [Option<Frame<'p>>; MAX_DEPTH],
    depth: usize,
}

impl Tree {
    /// Compiles what a rule asks for. Tests of claims go into `extraction`, for they are made when a token is verified.
    pub(crate) fn compile(
        rule: &RuleConfig,
        known: &Known<'_>,
        extraction: &mut Extraction,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let form = form(
            rule.allow_anonymous,
            rule.any.as_deref(),
            rule.all.as_deref(),
            rule.not.as_deref(),
            at,
        )?;
        let Some(form) = form else {
            let reason = "expected exactly one of allow_anonymous, any, all, not";
            return Err(ConfigError::new(at, reason));
        };
        let mut compiler = Compiler {
            nodes: Vec::new(),
            known,
            extraction,
        };
        compiler.add(form, 0, at)?;
        Ok(Self(compiler.nodes))
    }

    /// Whether this is `allow_anonymous` and nothing else.
    pub(crate) fn is_anonymous(&self) -> bool {
        matches!(self.0.as_slice(), [Node::Anonymous])
    }

    pub(crate) fn needs_address(&self) -> bool {
        let asks = |node: &Node| matches!(node, Node::Ask(asked) if asked.needs_address());
        self.0.iter().any(asks)
    }

    /// Whether a credential of the scheme could help a caller: it is asked for, and not in order to refuse it.
    pub(crate) fn asks_for(&self, scheme: Scheme) -> bool {
        let mut refused_until = 0;
        self.0.iter().enumerate().any(|(index, node)| match node {
            Node::Group(Group::Not, end) => {
                refused_until = refused_until.max(*end);
                false
            }
            Node::Ask(asked) => index >= refused_until && asked.scheme() == Some(scheme),
            Node::Group(..) | Node::Anonymous => false,
        })
    }

    /// By which credentials the caller meets the tree.
    pub(crate) fn judge(
        &self,
        verified: &Verified,
        source: Option<&Source>,
    ) -> Result<Callers, Denial<'_>> {
        match self.0.as_slice() {
            // Most rules ask for one thing, and a group of one is what its member is.
            [Node::Group(Group::Any | Group::All, _), Node::Ask(asked)] => {
                Verdict::of(asked.meet(verified, source)).into_result()
            }
            _ => self.walk(verified, source),
        }
    }

    #[inline(never)]
    fn walk(&self, verified: &Verified, source: Option<&Source>) -> Result<Callers, Denial<'_>> {
        let mut stack = Stack {
            frames: [None; MAX_DEPTH],
            depth: 0,
        };
        let mut place = 0_usize;
        loop {
            let mut verdict = match self.0.get(place) {
                Some(Node::Group(group, end)) => {
                    stack.push(Frame::new(*group, *end));
                    place = place.saturating_add(1);
                    continue;
                }
                Some(Node::Anonymous) => Verdict::Met(Callers::default()),
                Some(Node::Ask(asked)) => Verdict::of(asked.meet(verified, source)),
                // No tree ends inside a group. If one did, nothing is met.
                None => return Err(Denial::of(Reason::Internal)),
            };
            place = place.saturating_add(1);
            // A verdict that settles a group, or is its last, is the group's, and may settle the one around it.
            loop {
                let Some(frame) = stack.top() else {
                    return verdict.into_result();
                };
                frame.absorb(verdict);
                if !frame.is_settled() && place < frame.end {
                    break;
                }
                verdict = frame.verdict();
                place = frame.end;
                stack.pop();
            }
        }
    }
}

/// The group that is written, or none.
fn form<'c>(
    allow_anonymous: Option<bool>,
    any: Option<&'c [NodeConfig]>,
    all: Option<&'c [NodeConfig]>,
    not: Option<&'c NodeConfig>,
    at: &FieldPath,
) -> Result<Option<Form<'c>>, ConfigError> {
    Ok(match (allow_anonymous, any, all, not) {
        (Some(true), None, None, None) => Some(Form::Anonymous),
        (Some(false), None, None, None) => {
            let reason = "only true can be meant here; without a rule nothing is allowed";
            return Err(ConfigError::new(&at.field("allow_anonymous"), reason));
        }
        (None, Some(list), None, None) => Some(Form::Group(Group::Any, "any", list)),
        (None, None, Some(list), None) => Some(Form::Group(Group::All, "all", list)),
        (None, None, None, Some(node)) => Some(Form::Not(node)),
        _ => None,
    })
}

impl Compiler<'_> {
    fn add(&mut self, wanted: Form<'_>, depth: usize, at: &FieldPath) -> Result<(), ConfigError> {
        if self.nodes.len() >= MAX_NODES {
            let reason = format!("a rule has at most {MAX_NODES} conditions and groups");
            return Err(ConfigError::new(at, reason));
        }
        match wanted {
            Form::Anonymous => self.nodes.push(Node::Anonymous),
            Form::Ask(node) => {
                let asked = Requirement::compile(node, self.known, self.extraction, at)?;
                self.nodes.push(Node::Ask(Box::new(asked)));
            }
            Form::Group(group, name, list) => {
                let at = at.field(name);
                if group == Group::All {
                    each_kind_once(list, &at)?;
                }
                let opened = self.open(group, depth, &at)?;
                for (index, node) in list.iter().enumerate() {
                    self.add_node(node, depth.saturating_add(1), &at.index(index))?;
                }
                self.close(opened);
            }
            Form::Not(node) => {
                let at = at.field("not");
                let opened = self.open(Group::Not, depth, &at)?;
                self.add_node(node, depth.saturating_add(1), &at)?;
                self.close(opened);
            }
        }
        Ok(())
    }

    fn add_node(
        &mut self,
        node: &NodeConfig,
        depth: usize,
        at: &FieldPath,
    ) -> Result<(), ConfigError> {
        let group = form(
            node.allow_anonymous,
            node.any.as_deref(),
            node.all.as_deref(),
            node.not.as_deref(),
            at,
        )?;
        match group {
            Some(group) if !node.asks() => self.add(group, depth, at),
            None if node.asks() && !node.has_group() => self.add(Form::Ask(node), depth, at),
            _ => {
                let reason = "expected exactly one of credential, addresses, any, all, not, allow_anonymous; \
                              provider, scopes, groups, plans, claims and addresses stand beside credential";
                Err(ConfigError::new(at, reason))
            }
        }
    }

    fn open(&mut self, group: Group, depth: usize, at: &FieldPath) -> Result<usize, ConfigError> {
        if depth >= MAX_DEPTH {
            let reason = format!("groups nest at most {MAX_DEPTH} deep");
            return Err(ConfigError::new(at, reason));
        }
        let opened = self.nodes.len();
        self.nodes.push(Node::Group(group, opened));
        Ok(opened)
    }

    fn close(&mut self, opened: usize) {
        let last = self.nodes.len();
        if let Some(Node::Group(_, end)) = self.nodes.get_mut(opened) {
            *end = last;
        }
    }
}

/// A request carries one credential of a kind, so the same kind twice in one `all` is a slip.
fn each_kind_once(list: &[NodeConfig], at: &FieldPath) -> Result<(), ConfigError> {
    for (index, node) in list.iter().enumerate() {
        let same = |other: &NodeConfig| other.credential == node.credential;
        if node.credential.is_some() && list.iter().take(index).any(same) {
            let reason = "a request carries one credential of a kind: name each kind once";
            return Err(ConfigError::new(at, reason));
        }
    }
    Ok(())
}

impl<'p> Verdict<'p> {
    fn of(met: Result<Option<crate::verified::Credential>, Denial<'p>>) -> Self {
        match met {
            Ok(credential) => Self::Met(Callers::default().and(credential)),
            Err(denial) => Self::Refused {
                denial,
                certain: denial.reason != Reason::AddressUnknown,
            },
        }
    }

    fn into_result(self) -> Result<Callers, Denial<'p>> {
        match self {
            Self::Met(callers) => Ok(callers),
            Self::Refused { denial, .. } => Err(denial),
        }
    }
}

impl<'p> Frame<'p> {
    fn new(group: Group, end: usize) -> Self {
        Self {
            group,
            end,
            callers: Callers::default(),
            met: false,
            denial: None,
            // Of `any`, all have to be certain not to hold; of `all`, one is enough.
            certain: group != Group::All,
        }
    }

    fn absorb(&mut self, verdict: Verdict<'p>) {
        match verdict {
            Verdict::Met(callers) => {
                self.met = true;
                self.callers = self.callers.and_all(callers);
            }
            Verdict::Refused { denial, certain } => {
                self.certain = match self.group {
                    Group::All => self.certain || certain,
                    Group::Any | Group::Not => self.certain && certain,
                };
                let tells_more = |told: Denial<'_>| match self.group {
                    // A credential that was not sent is asked for first: without it the rest cannot be judged.
                    Group::All => {
                        denial.reason == Reason::CredentialMissing
                            && told.reason != Reason::CredentialMissing
                    }
                    Group::Any | Group::Not => rank(denial.reason) > rank(told.reason),
                };
                if self.denial.is_none_or(tells_more) {
                    self.denial = Some(denial);
                }
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.group == Group::Any && self.met
    }

    fn verdict(&self) -> Verdict<'p> {
        let refused = |denial, certain| Verdict::Refused { denial, certain };
        match (self.group, self.denial) {
            (Group::Any, _) if self.met => Verdict::Met(self.callers),
            (Group::All, None) => Verdict::Met(self.callers),
            (Group::Not, None) => refused(Denial::of(Reason::Excluded), true),
            (Group::Not, Some(_)) if self.certain => Verdict::Met(Callers::default()),
            // Only an address can be unknown; what the part lacks beside it is no fault of the caller's.
            (Group::Not, Some(_)) => refused(Denial::of(Reason::AddressUnknown), false),
            (_, Some(denial)) => refused(denial, self.certain),
            (Group::Any, None) => refused(Denial::of(Reason::CredentialMissing), true),
        }
    }
}

impl<'p> Stack<'p> {
    fn push(&mut self, frame: Frame<'p>) {
        // The compiler refuses trees that are deeper.
        if let Some(free) = self.frames.get_mut(self.depth) {
            *free = Some(frame);
            self.depth = self.depth.saturating_add(1);
        }
    }

    fn top(&mut self) -> Option<&mut Frame<'p>> {
        let last = self.depth.checked_sub(1)?;
        self.frames.get_mut(last)?.as_mut()
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

/// How much a denial says about what was sent. An address cannot be changed, a credential can.
fn rank(reason: Reason) -> u8 {
    match reason {
        Reason::ScopeMissing
        | Reason::GroupMissing
        | Reason::PlanMissing
        | Reason::ClaimMissing => 3,
        Reason::CredentialNotAccepted => 2,
        Reason::CredentialMissing => 1,
        _ => 0,
    }
}
