// Package daemon wires everything together: configuration, taps, signals, sd_notify, the control socket and metrics;
// and replay, the same pipeline over files. It is the only package that logs.
package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/engine"
	"weir/rules"
)

// DefaultConfigPath is where the configuration stands unless a command line names another place.
const DefaultConfigPath = "/etc/weir/weir.toml"

// Config is weir.toml. It is immutable once loaded.
type Config struct {
	File      string          `toml:"-"` // where it was read; "": nowhere, all defaults
	looked    string          `toml:"-"` // where it was looked for; "": nowhere, it was made without a file
	Paths     PathsConfig     `toml:"paths"`
	Capture   CaptureConfig   `toml:"capture"`
	Rules     RulesConfig     `toml:"rules"`
	Flow      FlowConfig      `toml:"flow"`
	Protocols ProtocolsConfig `toml:"protocols"`
	Budget    BudgetConfig    `toml:"budget"`
	Pcap      PcapConfig      `toml:"pcap"`
	Metrics   MetricsConfig   `toml:"metrics"`
	Alerts    AlertsConfig    `toml:"alerts"`
	Events    EventsConfig    `toml:"events"`
	Privacy   PrivacyConfig   `toml:"privacy"`

	Quarantine QuarantineConfig `toml:"quarantine"`
}

// PathsConfig is the table [paths].
type PathsConfig struct {
	State  string   `toml:"state"`  // pcap store, learned policy, spools
	Log    string   `toml:"log"`    // eve.json
	Run    string   `toml:"run"`    // weir.sock
	Rules  []string `toml:"rules"`  // files and folders; of two rules with one id the later wins
	Policy string   `toml:"policy"` // folder
}

// Pcap returns the folder of the pcap store.
func (p *PathsConfig) Pcap() string { return filepath.Join(p.State, "pcap") }

// Fingerprints returns the folder of the fingerprints' key.
func (p *PathsConfig) Fingerprints() string { return filepath.Join(p.State, "state") }

// Socket returns the path of the control socket.
func (p *PathsConfig) Socket() string { return filepath.Join(p.Run, "weir.sock") }

// EVE returns the path of the event log.
func (p *PathsConfig) EVE() string { return filepath.Join(p.Log, "eve.json") }

// CaptureConfig is the table [capture].
type CaptureConfig struct {
	Include  []string `toml:"include"` // host-side interfaces, by pattern as path.Match has them
	Exclude  []string `toml:"exclude"` // wins over Include
	Attach   Attach   `toml:"attach"`
	Loopback bool     `toml:"loopback"` // `lo` of the workloads too, unless Attach is AttachHost
	Ring     Size     `toml:"ring"`     // all rings together
}

// RulesConfig is the table [rules].
type RulesConfig struct {
	Builtin bool `toml:"builtin"` // the built-in rules too, not only those of Paths.Rules
}

// FlowConfig is the table [flow].
type FlowConfig struct {
	Overlap Overlap `toml:"overlap"` // which bytes count where segments or fragments overlap with different ones
}

// ProtocolsConfig is the table [protocols].
type ProtocolsConfig struct {
	UnknownBytes Size     `toml:"unknown_bytes"` // a conversation that nobody knows after so many bytes is told of; 0: never
	UnknownTime  Duration `toml:"unknown_time"`  // likewise
	Alerts       []string `toml:"alerts"`        // anomalies "protocol.*" that are alerts too
}

// validation returns it as the engine has it.
func (p *ProtocolsConfig) validation() engine.Validation {
	v := engine.Validation{UnknownBytes: uint64(p.UnknownBytes), UnknownTime: int64(p.UnknownTime), Alerts: map[string]bool{}}
	for _, code := range p.Alerts {
		v.Alerts[code] = true
	}
	return v
}

// BudgetConfig is the table [budget].
type BudgetConfig struct {
	Memory Size `toml:"memory"` // all of Weir: Go, rings, Hyperscan, decoders
	Flows  int  `toml:"flows"`  // all taps together
}

// PcapConfig is the table [pcap].
type PcapConfig struct {
	Pre   Size     `toml:"pre"`   // recent packets, all interfaces together; 0: none
	Post  Duration `toml:"post"`  // how long a slice goes on after the alert
	Quota Size     `toml:"quota"` // all slices together; the oldest unpinned go
	Age   Duration `toml:"age"`   // unpinned slices that are older go; 0: none does for its age
}

// MetricsConfig is the table [metrics].
type MetricsConfig struct {
	Listen string `toml:"listen"` // host:port; "": no metrics
}

// AlertsConfig is the table [alerts]: the rate limit of each rule and workload. What it holds back is counted, and told
// with the next alert.
type AlertsConfig struct {
	Burst     int `toml:"burst"`      // alerts at once
	PerSecond int `toml:"per_second"` // in the long run
}

// EventsConfig is the table [events].
type EventsConfig struct {
	Stats Duration `toml:"stats"` // how often the counters are told; 0: only at the end
}

// PrivacyConfig is the table [privacy].
type PrivacyConfig struct {
	Cards Cards `toml:"cards"` // what is shown of a card's number
}

// QuarantineConfig is the table [quarantine]: of workloads that rules cut off.
type QuarantineConfig struct {
	Allow []string `toml:"allow"` // whom each may still speak with
	Most  int      `toml:"most"`  // that are cut off at a time; further ones are told
}

// DefaultConfig returns the configuration that holds where no file says otherwise.
func DefaultConfig() *Config {
	return &Config{
		Paths: PathsConfig{
			State:  "/var/lib/weir",
			Log:    "/var/log/weir",
			Run:    "/run/weir",
			Rules:  []string{"/usr/share/weir/rules", "/etc/weir/rules.d"},
			Policy: "/etc/weir/policy.d",
		},
		Capture: CaptureConfig{
			Include:  []string{"veth*", "cali*", "lxc*", "gke*", "eni*"},
			Attach:   AttachAuto,
			Loopback: true,
			Ring:     256 << 20,
		},
		Rules:     RulesConfig{Builtin: true},
		Protocols: ProtocolsConfig{UnknownBytes: 16 << 10, UnknownTime: Duration(30 * time.Second), Alerts: []string{}},
		Budget:    BudgetConfig{Memory: 1 << 30, Flows: 1_000_000},
		Pcap:      PcapConfig{Pre: 64 << 20, Post: Duration(5 * time.Second), Quota: 10 << 30},
		Metrics:   MetricsConfig{Listen: "127.0.0.1:9477"},
		Alerts:    AlertsConfig{Burst: 100, PerSecond: 10},
		Events:    EventsConfig{Stats: Duration(time.Minute)},

		Quarantine: QuarantineConfig{Allow: []string{}, Most: 10},
	}
}

// LoadConfig reads weir.toml; "" stands for DefaultConfigPath. That a file is missing is a problem only where it was
// named explicitly. The Config is nil iff the problems have an error among them.
func LoadConfig(file string, explicit bool) (*Config, rules.Problems) {
	if file == "" {
		file = DefaultConfigPath
	}
	c := DefaultConfig()
	c.looked = file
	data, err := os.ReadFile(file)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && !explicit:
		return c, nil
	default:
		return nil, rules.Problems{unreadable(file, err)}
	}
	problems := rules.Decode(file, data, c)
	if !problems.Failed() { // else a value that could not be read would be judged by its default
		problems = append(problems, c.validate(file, data)...)
	}
	if problems.Failed() {
		return nil, problems
	}
	c.File = file
	return c, problems
}

func unreadable(file string, err error) rules.Problem {
	p := rules.Problem{Pos: rules.Pos{File: file}, What: err.Error()}
	var path *fs.PathError
	if errors.As(err, &path) {
		p.What = path.Err.Error()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.Hint = "give the path of a weir.toml with --config; none is needed for the defaults"
	case errors.Is(err, fs.ErrPermission):
		p.Hint = "run as root, or as a user who may read it"
	}
	return p
}

// ours: what a value may be
const (
	minMemory = 128 << 20        // bytes; Go, the rules and the smallest of all else take about as much
	minRing   = 1 << 20          // bytes; one ring block
	minQuota  = 1 << 20          // bytes
	minFlows  = 1000             //
	maxFlows  = 1 << 26          //
	maxPost   = 10 * time.Minute //
)

// validate tells what is wrong with values that are well formed.
func (c *Config) validate(file string, data []byte) rules.Problems {
	var out rules.Problems
	wrong := func(key, what, hint string) {
		out = append(out, rules.Problem{Pos: keyPos(file, data, key), What: key + ": " + what, Hint: hint})
	}
	for _, p := range []struct{ key, path string }{
		{"paths.state", c.Paths.State}, {"paths.log", c.Paths.Log}, {"paths.run", c.Paths.Run}, {"paths.policy", c.Paths.Policy},
	} {
		if !filepath.IsAbs(p.path) {
			wrong(p.key, fmt.Sprintf("%q is not an absolute path", p.path), "begin it with /")
		}
	}
	for _, p := range c.Paths.Rules {
		if !filepath.IsAbs(p) {
			wrong("paths.rules", fmt.Sprintf("%q is not an absolute path", p), "begin it with /")
		}
	}
	if len(c.Capture.Include) == 0 {
		wrong("capture.include", "no interface would ever be watched", `name some, as ["veth*"], or leave the key out for the default`)
	}
	patterns := func(key string, list []string) {
		for _, p := range list {
			if _, err := path.Match(p, ""); err != nil || p == "" {
				wrong(key, fmt.Sprintf("%q is no pattern", p), `* stands for any letters, ? for one, [ab] for one of them: "veth*"`)
			}
		}
	}
	patterns("capture.include", c.Capture.Include)
	patterns("capture.exclude", c.Capture.Exclude)
	c.validateSizes(wrong)
	for _, code := range c.Protocols.Alerts {
		if !slices.Contains(engine.ConversationAnomalies, code) {
			wrong("protocols.alerts", fmt.Sprintf("%q is no anomaly of conversations", code), "known are "+strings.Join(engine.ConversationAnomalies, ", "))
		}
	}
	for _, text := range c.Quarantine.Allow {
		if _, err := ParseAllow(text); err != nil {
			wrong("quarantine.allow", err.Error(), "")
		}
	}
	if n := c.Quarantine.Most; n < 0 || n > maxQuarantines {
		wrong("quarantine.most", fmt.Sprintf("%d is out of range", n), fmt.Sprintf("0 to %d; 0: no rule cuts anybody off", maxQuarantines))
	}
	if err := checkListen(c.Metrics.Listen); err != "" {
		wrong("metrics.listen", err, `write HOST:PORT, as "127.0.0.1:9477", or "" for no metrics`)
	}
	return out
}

func (c *Config) validateSizes(wrong func(key, what, hint string)) {
	for _, s := range []struct {
		key     string
		v, low  Size
		purpose string
	}{
		{"capture.ring", c.Capture.Ring, minRing, "one ring block"},
		{"budget.memory", c.Budget.Memory, minMemory, "Weir needs that much for itself"},
		{"pcap.quota", c.Pcap.Quota, minQuota, "no slice would fit"},
	} {
		if s.v < s.low {
			wrong(s.key, fmt.Sprintf("%s is too little", s.v), fmt.Sprintf("at least %s: %s", s.low, s.purpose))
		}
	}
	if most := c.Budget.Memory - c.Budget.Memory/garbagePart - programMin - leftMin; c.Capture.Ring+c.Pcap.Pre > most && c.Budget.Memory >= minMemory {
		wrong("budget.memory", fmt.Sprintf("%s leaves too little beside capture.ring (%s) and pcap.pre (%s)",
			c.Budget.Memory, c.Capture.Ring, c.Pcap.Pre), fmt.Sprintf("these two may take %s of it: raise it, or lower one of them", most))
	}
	if c.Budget.Flows < minFlows || c.Budget.Flows > maxFlows {
		wrong("budget.flows", fmt.Sprintf("%d is out of range", c.Budget.Flows), fmt.Sprintf("%d to %d", minFlows, maxFlows))
	}
	if c.Alerts.Burst < 1 || c.Alerts.PerSecond < 1 {
		wrong("alerts.burst", fmt.Sprintf("%d at once, %d a second: no alert would ever be told", c.Alerts.Burst, c.Alerts.PerSecond), "at least 1 each")
	}
	if d := c.Pcap.Post.Duration(); d < 0 || d > maxPost {
		wrong("pcap.post", fmt.Sprintf("%s is out of range", d), fmt.Sprintf("0s to %s", maxPost))
	}
}

// checkListen returns what is wrong with an address to listen on, or "".
func checkListen(addr string) string {
	if addr == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Sprintf("%q is no address", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Sprintf("%q is no port", port)
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil {
		return fmt.Sprintf("%q is no IP address", host)
	}
	return ""
}

// keyPos finds the line on which "table.key" is set, for problems that are found after decoding. Where it is not found,
// the file alone is named: then the value is a default, or written in an unusual way.
func keyPos(file string, data []byte, key string) rules.Pos {
	table, name, _ := strings.Cut(key, ".")
	in := ""
	for n, line := range strings.Split(string(data), "\n") {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "[") {
			in = strings.TrimSpace(strings.Trim(strings.SplitN(text, "]", 2)[0], "["))
			continue
		}
		k, _, ok := strings.Cut(text, "=")
		if k = strings.TrimSpace(k); ok && (in == table && k == name || in == "" && k == key) {
			return rules.Pos{File: file, Line: n + 1, Col: 1 + strings.Index(line, text)}
		}
	}
	return rules.Pos{File: file}
}
