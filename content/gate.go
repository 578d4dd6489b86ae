package content

// next returns where in b something encoded may begin; len(b): nowhere.
func next(b []byte) int {
	// A run of runLeast letters has every byte of some window: those are looked at from their end, so that words are passed in steps.
	for i := 0; i+runLeast <= len(b); {
		j := i + runLeast - 1
		for j >= i && classes[b[j]]&letter64 != 0 {
			j--
		}
		if j < i {
			return i
		}
		i = j + 1
	}
	return len(b)
}

// unfinished returns how many bytes at the end of b may be the beginning of something encoded.
func unfinished(b []byte) int {
	n := 0
	for n < len(b) && n < runLeast && classes[b[len(b)-1-n]]&letter64 != 0 {
		n++
	}
	return n
}
