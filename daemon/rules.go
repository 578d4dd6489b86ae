package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/rules"
)

// LoadRules reads rule files and folders, the built-in set first if wanted. Allow-lists that have expired today are left out.
func LoadRules(paths []string, builtin bool) (*rules.Set, rules.Problems) {
	return rules.Load(paths, rules.Options{
		Builtin: builtin, Fields: dissect.FieldNames, Validators: dlp.Validators(), Masks: dlp.Masks(), Own: engine.OwnRuleIDs(), Now: time.Now(),
		Peer: func(text string) error {
			_, err := ParseAllow(text)
			return err
		},
	})
}

// compileRules makes a daemon's database of set. Compiled patterns and the fingerprint key are kept with its state.
func compileRules(set *rules.Set, conf *Config, open int64) (*dlp.Database, error) {
	key, err := fingerprintKey(conf.Paths.Fingerprints(), true)
	if err != nil {
		return nil, err
	}
	return dlp.Compile(set, dlp.Options{CacheDir: filepath.Join(conf.Paths.State, "cache"), FingerprintKey: key, OpenBytes: open, Last4: conf.Privacy.Cards == CardsLast4})
}

// CompileForFiles makes a database of set for files, for a command without a daemon.
func CompileForFiles(set *rules.Set, conf *Config) (*dlp.Database, error) {
	return compileForUser(set, conf, dlp.Options{Files: true})
}

// compileForUser makes a database of set for a command that is no daemon: what it needs is kept in the user's cache. Fingerprints are those of the
// daemon that conf is of, if the user may read its key. opt says what sort of database it is to be.
func compileForUser(set *rules.Set, conf *Config, opt dlp.Options) (*dlp.Database, error) {
	var err error
	if opt.FingerprintKey, err = readKey(filepath.Join(conf.Paths.Fingerprints(), keyFile)); err != nil {
		if opt.FingerprintKey, err = fingerprintKey(filepath.Join(userDir(), "state"), false); err != nil {
			return nil, err
		}
	}
	opt.CacheDir, opt.Last4 = filepath.Join(userDir(), "cache"), conf.Privacy.Cards == CardsLast4
	return dlp.Compile(set, opt)
}

// CompileAnywhere makes a database of set for who asks what its rules find in a text and why not: all of them look at files, whatever their
// fields say, and nothing that matches is passed over unseen. The rules of what it finds are copies: set has those of the same id.
func CompileAnywhere(set *rules.Set) (*dlp.Database, error) {
	key, err := fingerprintKey(filepath.Join(userDir(), "state"), false)
	if err != nil {
		return nil, err
	}
	return dlp.Compile(set.Anywhere(), dlp.Options{CacheDir: filepath.Join(userDir(), "cache"), FingerprintKey: key, Files: true, Unsieved: true})
}

// RulePaths returns the rule files and folders that are there: the default folders need not be.
func (c *Config) RulePaths() []string {
	return slices.DeleteFunc(slices.Clone(c.Paths.Rules), func(p string) bool {
		_, err := os.Stat(p)
		return err != nil && p != rules.Wide
	})
}

// RuleIDs returns the ids of the rules that are on disk and built in, as far as they can be read.
func RuleIDs(c *Config) (out []string) {
	set, _ := LoadRules(c.RulePaths(), true)
	if set == nil {
		return nil
	}
	for _, r := range set.Rules {
		out = append(out, r.ID)
	}
	return append(out, engine.OwnRuleIDs()...)
}

// userDir returns where a command without configuration keeps compiled patterns: the user's cache.
func userDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "weir")
}

// EventTypes reads a comma-separated list of event types; "" is nil, all of them.
func EventTypes(list string) (map[string]bool, error) {
	if list == "" {
		return nil, nil
	}
	known := allEvents()
	out := map[string]bool{}
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if !known[word] {
			names := make([]string, 0, len(known))
			for k := range known {
				names = append(names, k)
			}
			slices.Sort(names)
			return nil, fmt.Errorf("--events: %q is an unknown event type (known: %s)", word, strings.Join(names, ", "))
		}
		out[word] = true
	}
	return out, nil
}

// allEvents are all event types that there are.
func allEvents() map[string]bool {
	out := map[string]bool{"alert": true, "info": true, "flow": true, "fileinfo": true, "anomaly": true, "drop": true, "stats": true}
	for _, p := range dissect.Protocols {
		out[p.EventType()] = true
	}
	return out
}
