package translate

import (
	"fmt"
	"slices"

	"weir/policy"
)

// kubeObject is what a NetworkPolicy, or a CiliumNetworkPolicy, says.
type kubeObject struct {
	id      string
	at      string   // FILE:LINE
	subject []string // lines: whom it is about
	host    bool     // it is about the host instead
	about   [2]bool  // what they get (ingress), what they begin (egress)
	allows  [2][]kubeRule
	denies  [2][]kubeRule
}

// kubeRule is one thing that is allowed, or denied.
type kubeRule struct {
	id       string
	at       string
	peers    party
	ports    []policy.Port
	protocol string
	where    []policy.Condition
}

const ingress, egress = 0, 1

func (o *kubeObject) ends() party {
	if o.host {
		return party{builtin: []string{policy.Host}}
	}
	return party{pods: o.subject}
}

// arrange makes rules of what objects of Kubernetes say. There an object restricts whom it is about: what no object allows is denied to them, and what is between two who are
// restricted must be allowed on both sides. Here rules have an order. So: what is denied; what both sides allow; nothing more between two who are both restricted; what one side allows;
// nothing more to or from those.
func (im *importer) arrange() {
	var restricted [2]party
	for i := range im.objects {
		o := &im.objects[i]
		for side := range restricted {
			if !o.about[side] {
				continue
			}
			r := &restricted[side]
			for _, line := range o.subject {
				if !slices.Contains(r.pods, line) {
					r.pods = append(r.pods, line)
				}
			}
			if o.host && len(r.builtin) == 0 {
				r.builtin = []string{policy.Host}
			}
		}
	}
	for i := range im.objects {
		o := &im.objects[i]
		for side := range o.denies {
			for j := range o.denies[side] {
				im.oneSide(o, &o.denies[side][j], side, policy.Deny)
			}
		}
	}
	if !restricted[ingress].nobody() && !restricted[egress].nobody() {
		im.bothSides()
		im.deny("denied/both", &restricted[egress], &restricted[ingress], "between those that are restricted on both sides, no more")
	}
	workloads := party{pods: []string{"name=*"}, builtin: []string{policy.Host}}
	for side := range restricted {
		r := &restricted[side]
		if r.nobody() {
			continue
		}
		word := [2]string{"to", "from"}[side]
		everybody, addressed := party{anybody: true}, false
		for _, addresses := range []bool{false, true} {
			for i := range im.objects {
				o := &im.objects[i]
				for j := range o.allows[side] {
					a := &o.allows[side][j]
					if (len(a.peers.others) > 0) != addresses {
						continue
					}
					if addresses && !addressed {
						addressed = true
						im.between("denied/by-address/"+word, side, r, &workloads, "an address is no workload's in what follows")
					}
					im.oneSide(o, a, side, policy.Allow)
				}
			}
		}
		im.between("denied/"+word, side, r, &everybody, word+" those that are restricted, no more")
	}
	for _, r := range restricted {
		for _, line := range r.pods {
			im.modes[im.group(line)] = policy.Monitor
		}
	}
}

func (im *importer) between(id string, side int, subject, peers *party, note string) {
	if side == ingress {
		im.deny(id, peers, subject, note)
	} else {
		im.deny(id, subject, peers, note)
	}
}

func (im *importer) deny(id string, from, to *party, note string) {
	im.add(policy.Rule{ID: id, From: im.named(from), To: im.named(to), Action: policy.Deny}, note)
}

// oneSide makes a rule of what one object says.
func (im *importer) oneSide(o *kubeObject, k *kubeRule, side int, a policy.Action) {
	subject := o.ends()
	if subject.nobody() || k.peers.nobody() {
		return
	}
	r := policy.Rule{ID: k.id, From: im.named(&k.peers), To: im.named(&subject), Ports: k.ports, Protocol: k.protocol, Where: k.where, Action: a}
	if side == egress {
		r.From, r.To = r.To, r.From
	}
	im.add(r, k.at)
}

// bothSides makes rules of what an object of who begins and one of who gets both allow.
func (im *importer) bothSides() {
	for i := range im.objects {
		for j := range im.objects[i].allows[egress] {
			for k := range im.objects {
				for l := range im.objects[k].allows[ingress] {
					if im.over {
						return
					}
					im.pair(&im.objects[i], &im.objects[i].allows[egress][j], &im.objects[k], &im.objects[k].allows[ingress][l])
				}
			}
		}
	}
}

func (im *importer) pair(from *kubeObject, out *kubeRule, to *kubeObject, in *kubeRule) {
	a, b := from.subject, to.subject
	if !in.peers.anybody {
		a = joint(a, in.peers.pods)
	}
	if !out.peers.anybody {
		b = joint(b, out.peers.pods)
	}
	ports, some := samePorts(out.ports, in.ports)
	if len(a) == 0 || len(b) == 0 || !some {
		return
	}
	protocol := out.protocol
	if protocol == "" {
		protocol = in.protocol
	}
	where, same := sameWhere(out.where, in.where)
	note := fmt.Sprintf("%s, and %s", out.at, in.at)
	if !same || out.protocol != "" && in.protocol != "" && out.protocol != in.protocol {
		return // what both would allow has no words: it is not allowed
	}
	im.add(policy.Rule{ID: out.id + "+" + in.id, From: im.named(&party{pods: a}), To: im.named(&party{pods: b}), Ports: ports, Protocol: protocol, Where: where, Action: policy.Allow}, note)
}

// samePorts returns the ports that are in both; none are all.
func samePorts(a, b []policy.Port) (out []policy.Port, some bool) {
	if len(a) == 0 || len(b) == 0 {
		return slices.Concat(a, b), true
	}
	for _, p := range a {
		for _, q := range b {
			if low, top := max(p.Low, q.Low), min(p.Top, q.Top); p.Proto == q.Proto && low <= top {
				out = append(out, policy.Port{Proto: p.Proto, Low: low, Top: top})
			}
		}
	}
	return out, len(out) > 0
}

// sameWhere returns the conditions of both, if there are words for it.
func sameWhere(a, b []policy.Condition) (out []policy.Condition, ok bool) {
	out = slices.Clone(a)
	for _, c := range b {
		i := slices.IndexFunc(out, func(d policy.Condition) bool { return d.Field == c.Field })
		if i < 0 {
			out = append(out, c)
		} else if !slices.Equal(out[i].Patterns, c.Patterns) {
			return nil, false
		}
	}
	return out, true
}
