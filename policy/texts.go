package policy

import "weir/rules"

// File is the text of a policy file.
type File struct {
	Name string
	Data []byte
}

// ParseFiles is Load for texts, in their order: what files would say if they were so.
func ParseFiles(files []File, opt Options) (*Set, rules.Problems) {
	l := newLoader(opt)
	for _, f := range files {
		l.file(f.Name, f.Data)
	}
	return l.finish()
}
