// Command hang is `weir run` with one dissector that never comes back from a body that says so: for the test that the
// watchdog sees it. Nothing of it is in Weir itself.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"weir/daemon"
	"weir/dissect"
	"weir/wire"
)

type hanging struct{ dissect.Dissector }

func (h hanging) Feed(dir wire.Dir, data []byte, emit func(*dissect.Message)) (dissect.Progress, error) {
	for bytes.Contains(data, []byte("HANG HERE")) { // for good
	}
	return h.Dissector.Feed(dir, data, emit)
}

func main() {
	made := dissect.HTTP.New
	dissect.HTTP.New = func(p *dissect.Protocol, env *dissect.Env) dissect.Dissector { return hanging{made(p, env)} }
	conf, problems := daemon.LoadConfig("", false)
	err := problems.Err()
	if err == nil {
		log, flush := daemon.NewLog(os.Stderr)
		err = daemon.Run(context.Background(), conf, log)
		flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hang:", err)
		os.Exit(1)
	}
}
