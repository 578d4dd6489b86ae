package weir_test

import (
	"slices"
	"strings"
	"testing"

	"weir/dissect"
	"weir/engine"
	"weir/flow"
	"weir/policy"
	"weir/wire"
)

// TestLearn: what is learned from a conversation lets it pass: each case is learned from, a policy is made of that, and the case is held until the
// policy has judged it.
func TestLearn(t *testing.T) {
	for _, c := range loadCases(t) {
		if c.dialogue.not != "" || c.policy != nil || strings.HasPrefix(c.name, "tcp-") || unlearned[c.name] {
			continue // forged segments are for others to deal with
		}
		t.Run(c.name, func(t *testing.T) {
			frames := play(t, c.dialogue, ways[0], wrappings()[0])
			text := learnFrom(t, frames)
			c := *c
			c.policy, c.want = compilePolicy(t, "[modes]\ndefault = \"protect\"\n"+text), nil
			_, blocked, cuts := hold(t, &c, frames)
			if blocked > 0 || cuts > 0 {
				t.Errorf("%d denied, under\n%s", blocked, text)
			}
		})
	}
}

// unlearned are the cases in which something is said that no proposal allows.
var unlearned = map[string]bool{
	"bacnet-captured": true, "raw-udp": true, "tunnel-ip-udp": true, // a few datagrams that nobody knows or answers: so does a scan
	"http-nul-in-target": true, // a path that no pattern may allow
}

// learnFrom returns the policy that is proposed for frames.
func learnFrom(t *testing.T, frames [][]byte) string {
	t.Helper()
	learner := policy.NewLearner(engine.Terms)
	e := engine.New(engine.Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits,
		Learn: &engine.Learn{Party: learner.Party, Exchange: func(s *policy.Seen) *policy.Seen {
			learner.Merge(s)
			return policy.NewSeen(engine.Terms)
		}},
	})
	e.SetPolicy(compilePolicy(t, ""))
	lane := e.NewLane()
	lane.OnPanic = func(stack string) { t.Errorf("panic: %s", stack) }
	tap := e.NewTap(engine.TapConfig{})
	for i, data := range frames {
		lane.Block(tap, []wire.Frame{{Data: slices.Clone(data), Time: caseStart + int64(i)*caseStep, Len: uint32(len(data)), Link: wire.LinkEthernet}})
	}
	lane.Close(tap)
	lane.Free()
	return string(learner.Propose(&policy.Set{}, 0).AppendTOML(nil))
}
