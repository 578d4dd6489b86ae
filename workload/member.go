package workload

import "slices"

// maxMembers is how many containers of a pod are told apart, ours; further ones count as new.
const maxMembers = 64

// Member is a container of a pod that runs or is about to.
type Member struct{ Name, Image string }

func (d *Description) member(name string) int {
	return slices.IndexFunc(d.Members, func(m Member) bool { return m.Name == name })
}

// After has a pod keep the name that it had, by what was said of it before: as long as the container is there that it went by, and when that is gone as long as only those are there who
// were beside it. So neither a pod that is taken down nor one in which a container is started again takes the name of another one, and one whose first containers prepare the others does.
func (d *Description) After(before *Description) {
	if before == nil || before.Name == "" || d.Pod == "" || d.Pod != before.Pod || d.Namespace != before.Namespace {
		return
	}
	if i := d.member(before.Name); i >= 0 {
		d.Name, d.Image = before.Name, d.Members[i].Image
	} else if before.member(d.Name) >= 0 {
		d.Name, d.Image = before.Name, before.Image
	}
}
