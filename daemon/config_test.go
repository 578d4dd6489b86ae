package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/flow"
)

func TestConfig(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"all keys", `
[paths]
state = "/a"
log = "/b"
run = "/c"
rules = ["/d"]
policy = "/e"
[capture]
include = ["veth*"]
exclude = ["veth0"]
attach = "host"
loopback = false
ring = "1.5GiB"
[flow]
overlap = "bsd_right"
[budget]
memory = "4GiB"
flows = 5000
[pcap]
pre = "0"
post = "1m30s"
quota = "1TB"
[metrics]
listen = ""
[privacy]
cards = "last4"
`, ""},
		{"cards", "[privacy]\ncards = \"none\"\n", `weir.toml:2:9: privacy.cards: "none" is unknown (known are bin6, last4)`},
		{"unknown key", "[capture]\nrings = \"1MiB\"\n", `weir.toml:2:1: unknown key "rings" in capture (did you mean "ring"?)`},
		{"unknown table", "[captures]\n", `weir.toml:1:2: unknown key "captures" (did you mean "capture"?)`},
		{"syntax", "[capture\n", `weir.toml:1:9: `},
		{"type", "[budget]\nflows = \"many\"\n", `weir.toml:2:9: budget.flows must be a whole number, not a string`},
		{"size as number", "[capture]\nring = 5\n", `weir.toml:2:8: capture.ring must be a string, not a whole number`},
		{"size without unit", "[capture]\nring = \"256\"\n",
			`weir.toml:2:8: capture.ring: "256" is no size (a number with a unit, as "256MiB" or "10GiB"; known are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)`},
		{"size with a letter", "[capture]\nring = \"256M\"\n",
			`weir.toml:2:8: capture.ring: "256M" is no size (a number with a unit, as "256MiB" or "10GiB"; known are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)`},
		{"size below zero", "[capture]\nring = \"-1MiB\"\n", `weir.toml:2:8: capture.ring: "-1MiB" is no size (`},
		{"size too great", "[pcap]\nquota = \"99999999999TiB\"\n", `weir.toml:2:9: pcap.quota: "99999999999TiB" is no size (`},
		{"ring too small", "[capture]\nring = \"1KiB\"\n", `weir.toml:2:1: capture.ring: 1KiB is too little (at least 1MiB: one ring block)`},
		{"memory too small", "[budget]\n\n  memory = \"1MiB\"\n", `weir.toml:3:3: budget.memory: 1MiB is too little (at least 128MiB: Weir needs that much for itself)`},
		{"sum", "[capture]\nring = \"800MiB\"\n",
			`weir.toml: budget.memory: 1GiB leaves too little beside capture.ring (800MiB) and pcap.pre (64MiB) (these two may take 824MiB of it: raise it, or lower one of them)`},
		{"quota", "pcap.quota = \"1KiB\"\n", `weir.toml:1:1: pcap.quota: 1KiB is too little (at least 1MiB: no slice would fit)`},
		{"flows", "[budget]\nflows = 0\n", `weir.toml:2:1: budget.flows: 0 is out of range (1000 to 67108864)`},
		{"attach", "[capture]\nattach = \"hots\"\n", `weir.toml:2:10: capture.attach: "hots" is unknown (did you mean "host"?)`},
		{"overlap", "[flow]\noverlap = \"linus\"\n", `weir.toml:2:11: flow.overlap: "linus" is unknown (did you mean "linux"?)`},
		{"overlap unlike any", "[flow]\noverlap = \"\"\n", `weir.toml:2:11: flow.overlap: "" is unknown (known are linux, bsd, bsd_right, windows, solaris, first, last)`},
		{"duration", "[pcap]\npost = \"5\"\n", `weir.toml:2:8: pcap.post: "5" is no duration (a number with a unit, as "5s", "10m" or "1h30m")`},
		{"duration below zero", "[pcap]\npost = \"-5s\"\n", `weir.toml:2:8: pcap.post: "-5s" is no duration (a number with a unit, as "5s", "10m" or "1h30m")`},
		{"duration too long", "[pcap]\npost = \"1h\"\n", `weir.toml:2:1: pcap.post: 1h0m0s is out of range (0s to 10m0s)`},
		{"relative path", "[paths]\nstate = \"var\"\n", `weir.toml:2:1: paths.state: "var" is not an absolute path (begin it with /)`},
		{"relative rules", "[paths]\nrules = [\"/a\", \"b\"]\n", `weir.toml:2:1: paths.rules: "b" is not an absolute path (begin it with /)`},
		{"nothing included", "[capture]\ninclude = []\n",
			`weir.toml:2:1: capture.include: no interface would ever be watched (name some, as ["veth*"], or leave the key out for the default)`},
		{"pattern", "[capture]\nexclude = [\"veth[\"]\n",
			`weir.toml:2:1: capture.exclude: "veth[" is no pattern (* stands for any letters, ? for one, [ab] for one of them: "veth*")`},
		{"listen", "[metrics]\nlisten = \"9477\"\n", `weir.toml:2:1: metrics.listen: "9477" is no address (write HOST:PORT, as "127.0.0.1:9477", or "" for no metrics)`},
		{"listen port", "[metrics]\nlisten = \":99999\"\n", `weir.toml:2:1: metrics.listen: "99999" is no port (write HOST:PORT, as "127.0.0.1:9477", or "" for no metrics)`},
		{"listen host", "[metrics]\nlisten = \"a b:1\"\n", `weir.toml:2:1: metrics.listen: "a b" is no IP address (write HOST:PORT, as "127.0.0.1:9477", or "" for no metrics)`},
		{"two", "[pcap]\nquota = \"1\"\npots = 1\n", "weir.toml:2:9: pcap.quota: \"1\" is no size ("},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "weir.toml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			conf, problems := LoadConfig(file, true)
			var lines []string
			for _, p := range problems {
				lines = append(lines, strings.TrimPrefix(p.String(), filepath.Dir(file)+"/"))
			}
			got := strings.Join(lines, "\n")
			exact := !strings.HasSuffix(c.want, "(") && !strings.HasSuffix(c.want, " ")
			if exact && got != c.want || !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if (conf == nil) != problems.Failed() {
				t.Errorf("got a configuration: %v", conf != nil)
			}
		})
	}
}

func TestConfigValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "weir.toml")
	os.WriteFile(file, []byte("[pcap]\npost = \"1m30s\"\n[capture]\nring=\"1.5MiB\"\nattach=\"host\"\n[flow]\noverlap=\"windows\""), 0o600)
	c, problems := LoadConfig(file, true)
	if problems != nil {
		t.Fatal(problems)
	}
	if c.Pcap.Post.Duration() != 90*time.Second || c.Capture.Ring != 3<<19 || c.Capture.Attach != AttachHost || c.Flow.Overlap != Overlap(flow.Windows) || c.File != file {
		t.Errorf("got %+v", c)
	}
	if c.Budget != DefaultConfig().Budget || !c.Capture.Loopback {
		t.Errorf("defaults did not stay: %+v", c)
	}
}

func TestConfigMissing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.toml")
	if c, problems := LoadConfig(file, false); c == nil || problems != nil || c.File != "" {
		t.Errorf("not asked for: got %v, %v", c, problems)
	}
	want := file + ": no such file or directory (give the path of a weir.toml with --config; none is needed for the defaults)"
	if c, problems := LoadConfig(file, true); c != nil || len(problems) != 1 || problems[0].String() != want {
		t.Errorf("asked for: got %v, %v\nwant %s", c, problems, want)
	}
}

// The defaults must pass what is asked of a file.
func TestDefaultConfigIsValid(t *testing.T) {
	if problems := DefaultConfig().validate("", nil); problems != nil {
		t.Error(problems)
	}
}

func TestSizeString(t *testing.T) {
	for _, c := range []struct {
		size Size
		want string
	}{{0, "0B"}, {1023, "1023B"}, {1 << 10, "1KiB"}, {1500, "1.5KiB"}, {256 << 20, "256MiB"}, {10 << 30, "10GiB"}, {1e12, "931.3GiB"}} {
		if got := fmt.Sprint(c.size); got != c.want {
			t.Errorf("%d: got %s, want %s", int64(c.size), got, c.want)
		}
	}
}
