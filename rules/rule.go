// Package rules reads rule files (TOML, a superset of gitleaks') into an immutable, validated Set. It
// matches nothing: what a Set means for a host is compiled by package dlp.
package rules

import "time"

// Severity of a rule.
type Severity uint8

const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

// Severities names the severities, by value, as rule files write them.
var Severities = []string{"info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return name(Severities, int(s)) }

// Direction a rule looks at.
type Direction uint8

const (
	Any Direction = iota
	Request
	Response
)

// Directions names the directions, by value.
var Directions = []string{"any", "request", "response"}

func (d Direction) String() string { return name(Directions, int(d)) }

// Action a rule asks for.
type Action uint8

const (
	Alert      Action = iota
	Block             // what it finds does not arrive, where packets are held
	Quarantine        // likewise; and the workload that did it is cut off
)

// Actions names the actions, by value.
var Actions = []string{"alert", "block", "quarantine"}

func (a Action) String() string { return name(Actions, int(a)) }

// Engine names the kind of a rule, as weir.engine in events.
type Engine uint8

const (
	DLP       Engine = iota // personal, card and secret data
	Signature               // attacks: what a WAF or an IDS signature looks for
)

// Engines names the engines, by value.
var Engines = []string{"dlp", "signature"}

func (e Engine) String() string { return name(Engines, int(e)) }

// Confidence says how sure a finding is. Package dlp has the numbers behind it.
type Confidence uint8

const (
	Unsure Confidence = iota // low: it has the form, and something speaks against it
	Fair                     // medium: it has the form and passes the checks
	Sure                     // high: what stands around it says so too, or chance cannot have made it
)

// Confidences names the levels of confidence, by value.
var Confidences = []string{"low", "medium", "high"}

func (c Confidence) String() string { return name(Confidences, int(c)) }

// Per says what the different values that a rule asks for are counted in.
type Per uint8

const (
	PerMessage Per = iota
	PerFlow        // a connection, or what is sent between two ports
	PerWindow      // all that one workload or address sends, in Rule.Window
)

// Pers names what values are counted in, by value.
var Pers = []string{"message", "flow", "window"}

func (p Per) String() string { return name(Pers, int(p)) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "?"
}

// Pos is where something stands in a file. Line and Col count from 1; 0 is unknown.
type Pos struct {
	File      string
	Line, Col int
}

// Rule is one [[rules]] table. It is immutable.
type Rule struct {
	ID              string
	SID             uint32 // alert.signature_id: 31 bits of a hash of ID, unless given
	Rev             int
	Description     string
	Engine          Engine
	Category        string
	Regex           string   // RE2 syntax; "" for a rule with only Path
	SecretGroup     int      // the group that holds the secret; 0: the whole match, or the only group as gitleaks has it
	Entropy         float64  // bits per byte that the secret must exceed; 0: not asked
	Keywords        []string // lower case; one must occur in the message, any case; empty: not asked
	Path            string   // regex on file names, for files only
	EDM             *EDM     // what is found is exact data; nil: it is not
	Tags            []string
	Validate        []string // names of validators, all must hold
	Context         []string // lower case words
	ContextRequired bool
	Within          int      // bytes around the match in which Context is looked for
	Fields          []string // empty: every field that is not derived
	Direction       Direction
	MinConfidence   Confidence    // findings that are less sure are counted, and raise nothing
	MinDistinct     int           // different values before it is raised
	Per             Per           // in which they are counted
	Window          time.Duration // for PerWindow
	From            []Ends        // who sends what is found: one must hold; empty: anybody
	To              []Ends        // who gets it
	Severity        Severity
	Mask            string
	Action          Action
	QuarantineAllow []string // whom a workload may still speak with that the rule puts into quarantine, beside those of the configuration
	Allow           []Allowlist
	Required        []Required
	SkipReport      bool // it is only there for other rules to require: never raised by itself
	Test            Test
	Builtin         bool // as it came with Weir: nobody asked for this one by name
	Pos             Pos
}

// Allowlist is a gitleaks allowlist: findings that it covers are dropped.
type Allowlist struct {
	Description string
	And         bool   // condition AND: all kinds given must hold
	Target      string // what Regexes look at: secret (default), match or line
	Regexes     []string
	Stopwords   []string // lower case
	Paths       []string
	TargetRules []string // global lists only: ids; empty: all
	Owner       string
	Reason      string
	Expires     string // last day on which it holds, YYYY-MM-DD; "" never ends
	Expired     bool   // that day was over when it was read: it drops nothing

	pos Pos // of targetRules
}

// ExpiredAt reports whether a's last day is over at now, in UTC.
func (a *Allowlist) ExpiredAt(now time.Time) bool {
	return a.Expires != "" && now.UTC().Format(dateForm) > a.Expires
}

// Required is a second rule that must be found near (gitleaks composite rules).
type Required struct {
	ID            string
	WithinLines   int // lines before and after; -1: anywhere in the message
	WithinColumns int // bytes before and after; -1: anywhere in the lines
}

// Test holds a rule's own examples, run by `weir rules test`.
type Test struct {
	Match   []string // each must raise the rule
	NoMatch []string // none may
}

// Set is an immutable set of rules.
type Set struct {
	Rules []*Rule          // in file order; of two with one id only the later
	Allow []Allowlist      // for all rules, or those that they name
	Files []string         // what was read, in order
	Own   map[string]*Rule // by id: what is to follow from what Weir finds without a rule of a file; only ID, Description, Action, QuarantineAllow and Pos are set

	byID map[string]*Rule
}

// Rule returns the rule with this id, nil if there is none.
func (s *Set) Rule(id string) *Rule { return s.byID[id] }
