package dissect

import "bytes"

// starts says whether head begins with s: Maybe while it may.
func starts(head []byte, s string) Guess {
	switch n := min(len(head), len(s)); {
	case string(head[:n]) != s[:n]:
		return No
	case n < len(s):
		return Maybe
	}
	return Yes
}

// startsFold compares the front of head with words, which are lower-case, letters in either case: Yes if it begins with one of them, Maybe if it may come to do so.
func startsFold(head []byte, words ...string) Guess {
	g := No
	for _, w := range words {
		n := min(len(head), len(w))
		switch {
		case !foldEqual(head[:n], w[:n]):
		case n == len(w):
			return Yes
		default:
			g = Maybe
		}
	}
	return g
}

// firstLine returns the line at the front of b without its end. whole says that its end is there.
func firstLine(b []byte) (line []byte, whole bool) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return bytes.TrimSuffix(b[:i], []byte{'\r'}), true
	}
	return b, false
}

// isText reports whether b is printable text; what is not ASCII may be in any encoding.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' || c == 0x7f {
			return false
		}
	}
	return true
}

// replyCode reads the number at the front of an answer line as SMTP, FTP and NNTP have it. last is false for a line that others follow.
func replyCode(line []byte) (code int, last, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		code = code*10 + int(c-'0')
	}
	return code, len(line) == 3 || line[3] == ' ', code >= 100 && code < 600
}

// greeting is what a probe makes of the answers that a server begins with: codes[i] says whether a reply code may come first. Of several
// protocols that begin alike, mine are words that only this one has in its first lines, theirs are the others'; second are codes of a second
// answer that only this one has.
func greeting(head []byte, codes []int, mine, theirs []string, second []int) Guess {
	first, answers := true, 0
	for {
		line, whole := firstLine(head)
		switch {
		case !isText(line) || len(line) > maxGreeting:
			return No
		case !whole && first:
			return greetingStart(line, codes)
		case !whole:
			return Maybe
		}
		code, last, ok := replyCode(line)
		switch {
		case first && (!ok || !has(codes, code)):
			return No
		case answers == 0 && anyFold(line, mine):
			return Yes
		case answers == 0 && anyFold(line, theirs):
			return No
		case answers > 0 && ok && last:
			if has(second, code) {
				return Yes
			}
			return No
		case ok && last:
			answers++
		}
		first = false
		head = head[lineEnd(head):]
	}
}

const maxGreeting = 600 // bytes of a line that a server begins with

// greetingStart judges a first line that is not whole yet.
func greetingStart(line []byte, codes []int) Guess {
	for _, code := range codes {
		w := [4]byte{byte('0' + code/100), byte('0' + code/10%10), byte('0' + code%10), ' '}
		n := min(len(line), 3)
		if string(line[:n]) == string(w[:n]) && (len(line) < 4 || line[3] == ' ' || line[3] == '-' || line[3] == '\r') {
			return Maybe
		}
	}
	return No
}

func lineEnd(b []byte) int { return bytes.IndexByte(b, '\n') + 1 }

func has(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// anyFold reports whether one of words stands in b, letters in either case.
func anyFold(b []byte, words []string) bool {
	for _, w := range words {
		if indexFold(b, w) >= 0 {
			return true
		}
	}
	return false
}

// commands is what a probe makes of the lines that a client begins with: the first that begins with one of mine decides, as long as those
// before it begin with one of shared, which other protocols have too. Both are lower-case.
func commands(head []byte, mine, shared []string) Guess {
	for len(head) > 0 {
		line, whole := firstLine(head)
		if !whole {
			return commandStart(head, mine, shared)
		}
		switch {
		case !isText(line) || len(line) > maxGreeting:
			return No
		case isCommand(line, mine):
			return Yes
		case !isCommand(line, shared):
			return No
		}
		head = head[lineEnd(head):]
	}
	return Maybe
}

// isCommand reports whether a line is one of words, or begins with one of those that end in a space.
func isCommand(line []byte, words []string) bool {
	for _, w := range words {
		n := len(w)
		if w[n-1] == ' ' || w[n-1] == ':' {
			if len(line) > n && foldEqual(line[:n], w) {
				return true
			}
		} else if len(line) == n && foldEqual(line, w) {
			return true
		}
	}
	return false
}

// commandStart judges a line that is not whole yet.
func commandStart(line []byte, lists ...[]string) Guess {
	if !isText(line) || len(line) > maxGreeting {
		return No
	}
	for _, words := range lists {
		for _, w := range words {
			n := min(len(line), len(w))
			if foldEqual(line[:n], w[:n]) && (n == len(line) || w[n-1] == ' ' || w[n-1] == ':' || line[n] == '\r' && n == len(line)-1) {
				return Maybe
			}
		}
	}
	return No
}

// cutLine takes the line at the front of b, with its end, or max bytes of one that is longer; whole says that its end is there. n is 0 if more
// bytes are needed to tell. last says that no more will come.
func cutLine(b []byte, max int, last bool) (n int, whole bool) {
	if i := bytes.IndexByte(b[:min(len(b), max)], '\n'); i >= 0 {
		return i + 1, true
	}
	switch {
	case len(b) >= max:
		return max, false
	case last:
		return len(b), true
	}
	return 0, false
}

// cutWord returns the word at the front of a line, and what follows the white space behind it.
func cutWord(line []byte) (word, rest []byte) {
	i := bytes.IndexAny(line, " \t")
	if i < 0 {
		return line, nil
	}
	return line[:i], bytes.TrimLeft(line[i:], " \t")
}

// cString returns what stands before the first NUL of b, and what is behind it; ok is false if there is none.
func cString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return b, nil, false
}
