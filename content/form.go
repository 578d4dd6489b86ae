package content

// form is a kind of container: bytes that begin in a way of their own, and hold other bytes.
type form struct {
	name   string
	magic  []string               // one of them is what it begins with
	is     func(head []byte) bool // whether it is one, of bytes that begin so; nil: they are enough
	weak   bool                   // text may begin so
	inside bool                   // only where it is in another container: elsewhere it is text like any other
	text   bool                   // it is text like any other too: what is encoded in it is looked for
	files  bool                   // what is in it are files, with names
	read   reader
}

// forms is the table of all containers, and of what is known and cannot be looked into.
var forms = []form{
	{name: "zip", magic: []string{zipLocal, zipSpanned + zipLocal, zipDescriptor + zipLocal}, files: true, read: readZip},
	{name: "tar", is: isTar, files: true, read: readTar},
	{name: "gzip", magic: []string{"\x1f\x8b\x08"}, is: isGzip, read: readGzip},
	{name: "zlib", magic: []string{"\x78\x01", "\x78\x5e", "\x78\x9c", "\x78\xda"}, is: isZlib, weak: true, read: readZlib},
	{name: "bzip2", magic: []string{"BZh"}, is: isBzip2, read: readBzip2},
	{name: "xz", magic: []string{xzMagic}, read: readXZ},
	{name: "lzma", magic: []string{"\x5d\x00"}, is: isLZMA, weak: true, read: readLZMA},
	{name: "lzip", magic: []string{lzipMagic}, read: readLzip},
	{name: "zstd", magic: []string{"\x28\xb5\x2f\xfd"}, read: readZstd},
	{name: "lz4", magic: []string{"\x04\x22\x4d\x18"}, is: isLZ4, read: readLZ4},
	{name: "snappy", magic: []string{"\xff\x06\x00\x00sNaPpY", "\xff\x06\x00\x00S2sTwO"}, read: readSnappy},
	{name: "pdf", magic: []string{"%PDF-"}, read: readPDF},
	{name: "markup", magic: []string{"<?xml", "\xef\xbb\xbf<?xml", "<!DOCTYPE", "<!doctype", "<html", "<HTML"}, inside: true, read: readMarkup},
	{name: "multipart", magic: []string{"--"}, is: isMultipart, weak: true, text: true, read: readMultipart},
	{name: "ole", magic: []string{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}, read: readOLE},

	{name: "7z", magic: []string{"7z\xbc\xaf\x27\x1c"}, read: unread},
	{name: "rar", magic: []string{"Rar!\x1a\x07"}, read: unread},
	{name: "cab", magic: []string{"MSCF\x00\x00\x00\x00"}, read: unread},
	{name: "compress", magic: []string{"\x1f\x9d\x90"}, read: unread},
	{name: "lrzip", magic: []string{"LRZI\x00"}, read: unread},
	{name: "squashfs", magic: []string{"hsqs"}, read: unread},
	{name: "avro", magic: []string{"Obj\x01"}, read: unread},
	{name: "parquet", magic: []string{"PAR1"}, read: unread},
	{name: "orc", magic: []string{"ORC\x0a"}, read: unread},

	{name: "openssl", magic: []string{"Salted__"}, read: sealed},
	{name: "age", magic: []string{"age-encryption.org/v1\n", "-----BEGIN AGE ENCRYPTED FILE-----"}, read: sealed},
	{name: "pgp", magic: []string{"-----BEGIN PGP MESSAGE-----"}, read: sealed},
	{name: "ansible-vault", magic: []string{"$ANSIBLE_VAULT;"}, read: sealed},
	{name: "keepass", magic: []string{"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"}, read: sealed},
	{name: "luks", magic: []string{"LUKS\xba\xbe"}, read: sealed},
}

// byFirst has the forms with a magic number, by its first byte.
var byFirst = func() (t [256][]*form) {
	for i := range forms {
		f := &forms[i]
		for _, m := range f.magic {
			if k := len(t[m[0]]); k == 0 || t[m[0]][k-1] != f {
				t[m[0]] = append(t[m[0]], f)
			}
		}
	}
	return t
}()

// headMost is how many bytes tell what form a text has: what follows a magic number is looked at too.
const headMost = 32

// formOf returns what a text is that begins so, nil if it is none. inside: it was in another container; last: no more of it comes. maybe: more
// bytes are needed to tell.
func formOf(head []byte, inside, last bool) (f *form, maybe bool) {
	if len(head) == 0 {
		return nil, !last
	}
	maybe = len(head) < tarTold && !last && mayTar(head)
	for _, f := range byFirst[head[0]] {
		if f.inside && !inside {
			continue
		}
		for _, m := range f.magic {
			switch n := min(len(m), len(head)); {
			case string(head[:n]) != m[:n]:
			case len(head) >= headMost || last && n == len(m) || n == len(m) && f.is == nil:
				if f.is == nil || f.is(head) {
					return f, false
				}
			default:
				maybe = maybe || !last
			}
		}
	}
	if isTar(head) {
		return formNamed("tar"), false
	}
	return nil, maybe
}

func formNamed(name string) *form {
	for i := range forms {
		if forms[i].name == name {
			return &forms[i]
		}
	}
	return nil
}

// mayTar reports whether a head too short for a tar's magic number may be one's: it begins with a name, and NULs behind it.
func mayTar(head []byte) bool {
	name := head[:min(len(head), tarNameSize)]
	n := 0
	for n < len(name) && name[n] >= ' ' && name[n] != 0x7f {
		n++
	}
	return n > 0 && allZero(name[n:])
}
