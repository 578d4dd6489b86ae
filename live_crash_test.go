package weir_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/capture"
	"weir/daemon"
)

// ours
const (
	kills     = 100
	longest   = 600 * time.Millisecond // that the daemon lives; half of them are killed while it starts
	crashRate = 3000                   // frames a second
)

// TestLiveCrashes kills the daemon again and again, under load, at any moment. Nothing that was told is lost, nothing is left half done
// under a final name, and nothing at all is left by the last, orderly stop.
func TestLiveCrashes(t *testing.T) {
	needs(t, "ip", "tcpreplay", "capinfos", "tshark")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	d.stop()
	d.replace("[metrics]", "[pcap]\npost = \"200ms\"\n[metrics]")

	stopLoad := loadInLoop(t, ns, crashLoad(t), crashRate)
	log := &eveReader{t: t, path: d.dir + "/log/eve.json", hash: sha256.New(), torn: map[string]bool{}}
	told := newFollower(d.dir + "/run/weir.sock")
	early := 0
	for n := range kills {
		if n%10 == 9 {
			log.tear()
		}
		ready := d.begin(ns)
		ctx, cancel := context.WithCancel(context.Background())
		followed := told.follow(ctx)
		timer := time.NewTimer(time.Duration(random.Int64N(int64(longest))))
		for alive := true; alive; {
			select {
			case ok := <-ready:
				if !ok {
					t.Fatalf("the daemon did not start on what was left:\n%s", d.lines())
				}
				ready = nil
			case <-timer.C:
				alive = false
			}
		}
		if err := d.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if ready != nil {
			early++
		}
		<-d.done
		cancel()
		<-followed
		log.read()
	}
	stopLoad()

	d.launch(ns)
	d.send(ns, request(t, 39999))
	until(t, "an alert after it all", func() bool { return len(told.seen(":39999")) > 0 || told.ask() })
	eve := d.stop()
	log.read()
	log.check(eve)
	if n := told.missing(eve); n > 0 {
		t.Errorf("%d of %d alerts that were told on the control socket are not in eve.json", n, len(told.lines))
	}
	whole, kept := checkSlices(t, d, eve)
	t.Logf("%d kills, %d of them before the daemon was ready; %d alerts were told on the socket, %d lines are in eve.json, %d torn; %d slices, "+
		"those of %d alerts among them", kills, early, len(told.lines), bytes.Count(eve, []byte("\n")), len(log.torn), whole, kept)
	checkLeft(t, d)
}

// crashLoad is a capture of conversations, each with a token.
func crashLoad(t *testing.T) string {
	var frames [][]byte
	for port := range uint16(50) {
		d, err := parseDialogue(fmt.Sprintf("tcp %d 80\n> POST /%d HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nWEIRTOKEN-7f3a91\n"+
			"< HTTP/1.1 200 x\\r\\nContent-Length: 4000\\r\\n\\r\\n\n< \"x\"*4000\n", 20000+port, port))
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, play(t, d, ways[0], wrappings()[0])...)
	}
	file := filepath.Join(t.TempDir(), "load.pcap")
	writePcap(t, file, frames)
	return file
}

// loadInLoop plays a capture onto the far end of the veth again and again, for five minutes at the most.
func loadInLoop(t *testing.T, ns, file string, rate int) (stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "far0", "--loop=10000000", fmt.Sprintf("--pps=%d", rate), file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// eveReader reads eve.json as a log shipper does, and remembers what it has seen.
type eveReader struct {
	t    *testing.T
	path string
	at   int64
	hash hash.Hash       // of all bytes up to at
	rest []byte          // the beginning of a line at the end of what was read
	torn map[string]bool // such beginnings, as crashes left them
}

// read reads what has come since, and judges every line. The writer is dead: what has no end is torn.
func (e *eveReader) read() {
	e.t.Helper()
	f, err := os.Open(e.path)
	if err != nil {
		e.t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, e.at, 1<<62))
	if err != nil {
		e.t.Fatal(err)
	}
	e.at += int64(len(data))
	e.hash.Write(data)
	data = append(e.rest, data...)
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			break
		}
		if !json.Valid(line) && !e.torn[string(line)] {
			e.t.Errorf("eve.json: a line that is none, and not the last before a crash: %.200q", line)
		}
		data = rest
	}
	if e.rest = bytes.Clone(data); len(e.rest) > 0 {
		e.torn[string(e.rest)] = true
	}
}

// tear adds half a line, as a crash in the middle of a write leaves it.
func (e *eveReader) tear() {
	e.t.Helper()
	f, err := os.OpenFile(e.path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, `{"timestamp":"torn %d`, e.at)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		e.t.Fatal(err)
	}
	e.read()
}

// check compares the file's end state with what was seen on the way.
func (e *eveReader) check(eve []byte) {
	e.t.Helper()
	sum := sha256.Sum256(eve)
	if !bytes.Equal(e.hash.Sum(nil), sum[:]) {
		e.t.Error("eve.json was changed behind who reads it")
	}
	if len(e.rest) > 0 {
		e.t.Errorf("eve.json ends in the middle of a line: %.200q", e.rest)
	}
}

// follower is `weir alerts -f`, begun anew with each daemon.
type follower struct {
	client *daemon.Client
	lines  map[string]bool
}

func newFollower(socket string) *follower {
	return &follower{client: daemon.Dial(socket), lines: map[string]bool{}}
}

// follow notes all alerts until ctx ends or, once it was reached, the daemon does.
func (f *follower) follow(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if f.note(ctx, true) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return done
}

func (f *follower) note(ctx context.Context, follow bool) (reached bool) {
	head := func(*daemon.Seen) error { reached = true; return nil }
	f.client.Events(ctx, daemon.Ask{Alerts: true, Follow: follow, Last: -1}, head, func(line []byte) error {
		if _, missed := daemon.Missed(line); !missed {
			f.lines[string(line)] = true
		}
		return nil
	})
	return reached
}

// ask notes the last alerts.
func (f *follower) ask() bool {
	f.note(context.Background(), false)
	return false
}

func (f *follower) seen(text string) (out []string) {
	for line := range f.lines {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// missing counts the lines that are not in the file.
func (f *follower) missing(eve []byte) (n int) {
	there := map[string]bool{}
	for line := range bytes.Lines(eve) {
		there[string(bytes.TrimSuffix(line, []byte("\n")))] = true
	}
	for line := range f.lines {
		if !there[line] {
			n++
		}
	}
	return n
}

// checkSlices reads every slice to its end, with Weir's own reader and with Wireshark's. It returns how many there are, and how many alerts
// have theirs.
func checkSlices(t *testing.T, d *daemonProcess, eve []byte) (slices, alerts int) {
	t.Helper()
	files, err := filepath.Glob(d.dir + "/state/pcap/*.pcapng")
	if err != nil || len(files) == 0 {
		t.Fatalf("no slices (%v)", err)
	}
	there := map[string]bool{}
	for _, name := range files {
		there[name] = true
		if err := readWhole(name); err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
	for list := files; len(list) > 0; list = list[min(len(list), 500):] {
		part := list[:min(len(list), 500)]
		if out, err := exec.Command("capinfos", append([]string{"-c", "-M"}, part...)...).CombinedOutput(); err != nil || bytes.Contains(out, []byte("cut short")) {
			t.Errorf("capinfos: %v\n%.2000s", err, out)
		}
	}
	for i := 0; i < len(files); i += max(1, len(files)/5) {
		if out, err := exec.Command("tshark", "-n", "-r", files[i]).CombinedOutput(); err != nil || bytes.Contains(out, []byte("cut short")) {
			t.Errorf("tshark: %s: %v\n%.2000s", files[i], err, out)
		}
	}
	for _, m := range regexp.MustCompile(`"event_type":"alert".*"capture_file":"([^"]*)"`).FindAllSubmatch(eve, -1) {
		if there[string(m[1])] {
			alerts++
		}
	}
	return len(files), alerts
}

func readWhole(name string) error {
	f, err := capture.OpenFile(name)
	if err != nil {
		return err
	}
	defer f.Close()
	n := 0
	for {
		frames, err := f.Next()
		n += len(frames)
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it holds no packet")
		case err != nil:
			return err
		}
	}
}

// checkLeft names what an orderly stop must not leave.
func checkLeft(t *testing.T, d *daemonProcess) {
	t.Helper()
	known := regexp.MustCompile(`^/(weir\.toml|log/eve\.json|state/cache/[0-9a-f]{64}\.hsdb|state/state/(fingerprint\.key|learned\.json)|state/pcap/[0-9]\S*-[0-9a-f]{16}\.pcapng)$`)
	err := filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if name := strings.TrimPrefix(path, d.dir); err == nil && !e.IsDir() && !known.MatchString(name) {
			t.Errorf("left behind: %s", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
