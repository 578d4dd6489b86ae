package rules

import "time"

// The tables of a rule file as they are written. Pointers tell what a file gives from what it leaves out, since a file
// that extends another gives only what it changes.

type rawFile struct {
	Title       string     `toml:"title"`
	Description string     `toml:"description"`
	MinVersion  string     `toml:"minVersion"` // gitleaks' version, not ours: not looked at
	Extend      *rawExtend `toml:"extend"`
	Rules       []rawRule  `toml:"rules"`
	Allowlist   *rawAllow  `toml:"allowlist"` // the older form
	Allowlists  []rawAllow `toml:"allowlists"`
}

type rawExtend struct {
	UseDefault    bool     `toml:"useDefault"`
	Path          string   `toml:"path"`
	URL           string   `toml:"url"`
	DisabledRules []string `toml:"disabledRules"`
}

type rawRule struct {
	ID          string   `toml:"id"`
	Description string   `toml:"description"`
	Regex       string   `toml:"regex"`
	SecretGroup *int     `toml:"secretGroup"`
	Entropy     *float64 `toml:"entropy"`
	Keywords    []string `toml:"keywords"`
	Path        string   `toml:"path"`
	Tags        []string `toml:"tags"`

	Allowlist  *rawRuleAllow  `toml:"allowlist"` // the older form
	Allowlists []rawRuleAllow `toml:"allowlists"`
	Required   []rawRequired  `toml:"required"`
	SkipReport *bool          `toml:"skipReport"`

	// Weir's own from here on.
	SID             *int           `toml:"sid"`
	Rev             *int           `toml:"rev"`
	Engine          string         `toml:"engine"`
	Category        string         `toml:"category"`
	Validate        []string       `toml:"validate"`
	Context         []string       `toml:"context"`
	ContextRequired *bool          `toml:"context_required"`
	Within          *int           `toml:"within"`
	Fields          []string       `toml:"fields"`
	Direction       string         `toml:"direction"`
	MinDistinct     *int           `toml:"min_distinct"`
	MinConfidence   string         `toml:"min_confidence"`
	Per             string         `toml:"per"`
	Window          *time.Duration `toml:"window"`
	From            []string       `toml:"from"`
	To              []string       `toml:"to"`
	Severity        string         `toml:"severity"`
	Mask            string         `toml:"mask"`
	Action          string         `toml:"action"`
	QuarantineAllow []string       `toml:"quarantine_allow"`
	EDM             *rawEDM        `toml:"edm"`
	Test            *rawTest       `toml:"test"`
}

type rawRuleAllow struct {
	Description string   `toml:"description"`
	Condition   string   `toml:"condition"`
	RegexTarget string   `toml:"regexTarget"`
	Regexes     []string `toml:"regexes"`
	Stopwords   []string `toml:"stopwords"`
	Paths       []string `toml:"paths"`
	Commits     []string `toml:"commits"`

	// Weir's own from here on.
	Owner   string `toml:"owner"`
	Reason  string `toml:"reason"`
	Expires any    `toml:"expires"` // a TOML date, or the same as a string
}

type rawAllow struct {
	rawRuleAllow
	TargetRules []string `toml:"targetRules"`
}

type rawRequired struct {
	ID            string `toml:"id"`
	WithinLines   *int   `toml:"withinLines"`
	WithinColumns *int   `toml:"withinColumns"`
}

type rawTest struct {
	Match   []string `toml:"match"`
	NoMatch []string `toml:"no_match"`
}
