package content

import "io"

// unread passes a form that is known and not taken apart here.
func unread(in *input, out *output) error { return pass(in, out, faultMethod) }

// sealed passes a form that needs a key.
func sealed(in *input, out *output) error { return pass(in, out, faultEncrypted) }

// pass tells at the end how much it was.
func pass(in *input, out *output, why fault) error {
	n, err := io.Copy(io.Discard, in.Reader)
	if err == errEnough {
		return err
	}
	return out.unreadable(why, n)
}

// readOLE passes a compound file, as documents of older office programs are: their text stands in it for all to see. One that holds an encrypted
// document says so in names of two bytes a letter.
func readOLE(in *input, out *output) error {
	const name = "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"
	if err := in.until(name, nil); err != nil {
		return err
	}
	return pass(in, out, faultEncrypted)
}
