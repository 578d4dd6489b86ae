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
	"weir/rules"
)

// LoadRules reads rule files and folders, the built-in set first if wanted. Allow-lists that have expired today are left out.
func LoadRules(paths []string, builtin bool) (*rules.Set, rules.Problems) {
	return rules.Load(paths, rules.Options{
		Builtin: builtin, Fields: dissect.FieldNames, Validators: dlp.Validators(), Masks: dlp.Masks(), Now: time.Now(),
	})
}

// CompileRules makes a database of set. dir is where the compiled patterns and the fingerprint key are kept; keep says
// that it must be possible to. open is the bytes that matches may have open in all; 0: dlp.DefaultOpenBytes.
func CompileRules(set *rules.Set, dir string, keep bool, open int64) (*dlp.Database, error) {
	key, err := fingerprintKey(filepath.Join(dir, "state"), keep)
	if err != nil {
		return nil, err
	}
	return dlp.Compile(set, dlp.Options{CacheDir: filepath.Join(dir, "cache"), FingerprintKey: key, OpenBytes: open})
}

// CompileForFiles makes a database of set for files, for a command without a daemon.
func CompileForFiles(set *rules.Set) (*dlp.Database, error) {
	key, err := fingerprintKey(filepath.Join(userDir(), "state"), false)
	if err != nil {
		return nil, err
	}
	return dlp.Compile(set, dlp.Options{CacheDir: filepath.Join(userDir(), "cache"), FingerprintKey: key, Files: true})
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
		return err != nil
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
	return out
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
	out := map[string]bool{"alert": true, "info": true, "flow": true, "fileinfo": true, "anomaly": true, "stats": true}
	for _, p := range dissect.Protocols {
		out[p.EventType()] = true
	}
	return out
}
