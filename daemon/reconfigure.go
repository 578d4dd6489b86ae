package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"weir/rules"
	"weir/workload"
)

// ours: that a reload waits for interfaces to be listed
const relistMost = 5 * time.Second

// reconfigure reads the configuration again. It returns what holds from now on: what was read at the start, but for what a reload puts in
// force. Of other keys that have changed it warns. The Config is nil iff the problems have an error among them.
func (d *Daemon) reconfigure() (*Config, rules.Problems) {
	if d.conf.looked == "" { // of no file
		return d.conf, nil
	}
	next, problems := LoadConfig(d.conf.looked, d.conf.File != "")
	if problems.Failed() {
		return nil, problems
	}
	c := *d.conf
	c.Paths.Rules, c.Rules = next.Paths.Rules, next.Rules
	c.Capture.Include, c.Capture.Exclude = next.Capture.Include, next.Capture.Exclude
	data, _ := os.ReadFile(d.conf.looked) // for the places alone
	for _, key := range changed(&c, next) {
		problems = append(problems, rules.Problem{Pos: keyPos(d.conf.looked, data, key), Level: rules.Warning,
			What: key + " has changed: it takes effect when Weir is started anew", Hint: "systemctl restart weir"})
	}
	return &c, problems
}

// changed returns the keys that two configurations differ in.
func changed(a, b *Config) (keys []string) {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		table := x.Type().Field(i)
		if table.Type.Kind() != reflect.Struct {
			continue
		}
		for j := range table.Type.NumField() {
			p, q := x.Field(i).Field(j), y.Field(i).Field(j)
			if p.Kind() == reflect.Slice && p.Len() == 0 && q.Len() == 0 || reflect.DeepEqual(p.Interface(), q.Interface()) {
				continue
			}
			keys = append(keys, table.Tag.Get("toml")+"."+table.Type.Field(j).Tag.Get("toml"))
		}
	}
	return keys
}

// relisting is a request to watch the interfaces of other patterns than before.
type relisting struct {
	include, exclude []string
	done             chan error   // takes one; nil once they are listed
	there            map[int]bool // interfaces that were told so far
}

// choose has serve watch the interfaces that other patterns name, and waits until those that are there are known.
func (d *Daemon) choose(include, exclude []string) error {
	r := &relisting{include: include, exclude: exclude, done: make(chan error, 1), there: map[int]bool{}}
	late := time.After(relistMost)
	select {
	case d.relist <- r:
	case <-late:
		return errors.New("capture: the daemon is not there for other interfaces: it starts, or ends (try again)")
	}
	select {
	case err := <-r.done:
		return err
	case <-late:
		return nil // they come as they are told
	}
}

// rewatch begins to watch interfaces anew, by other patterns. Those that are watched and match stay as they are.
func (d *Daemon) rewatch(ctx context.Context, r *relisting, links <-chan workload.Event) <-chan workload.Event {
	ctx, cancel := context.WithCancel(ctx)
	fresh, err := workload.Watch(ctx, r.include, r.exclude)
	if err != nil {
		cancel()
		r.done <- err
		return links
	}
	d.unwatch()
	d.unwatch, d.again = cancel, r
	return fresh
}

// listedAgain leaves interfaces that the new patterns do not name, or that went while nobody watched.
func (d *Daemon) listedAgain() {
	r := d.again
	d.again = nil
	d.mu.Lock()
	var gone []workload.Interface
	for index, i := range d.ifaces {
		if !r.there[index] {
			gone = append(gone, i)
		}
	}
	d.mu.Unlock()
	for _, i := range gone {
		d.naming.forget(i.Index)
		d.depart(i)
	}
	r.done <- nil
}

// toldAgain takes note of an interface that is there. One that has another name now begins anew, as it does when it is told as it happens.
func (d *Daemon) toldAgain(i workload.Interface) {
	d.again.there[i.Index] = true
	d.mu.Lock()
	old, known := d.ifaces[i.Index]
	d.mu.Unlock()
	if known && old.Name != i.Name {
		d.naming.forget(i.Index)
		d.depart(old)
	}
}

// pending says what of the configuration on disk is not in force.
func pending(problems rules.Problems) string {
	n, first := 0, ""
	for _, p := range problems {
		if p.Level == rules.Warning {
			if n++; n == 1 {
				first = p.String()
			}
		}
	}
	if n > 1 {
		first += fmt.Sprintf("; and %d more", n-1)
	}
	return first
}
