package workload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// From the specification: linux/netfilter/nfnetlink_conntrack.h and nfnetlink.h.
const (
	nfGroupNew   = 1                               // NFNLGRP_CONNTRACK_NEW
	ctNew        = unix.NFNL_SUBSYS_CTNETLINK << 8 // IPCTNL_MSG_CT_NEW
	ctGet        = ctNew | 1                       // IPCTNL_MSG_CT_GET
	nfgenmsgSize = 4                               // bytes
	ctaOriginal  = 1                               // CTA_TUPLE_ORIG
	ctaReply     = 2                               // CTA_TUPLE_REPLY
	ctaIP        = 1                               // CTA_TUPLE_IP
	ctaProto     = 2                               // CTA_TUPLE_PROTO
	ctaProtoNum  = 1                               // CTA_PROTO_NUM
	ctaSrcPort   = 2                               // CTA_PROTO_SRC_PORT
	ctaDstPort   = 3                               // CTA_PROTO_DST_PORT
	ctaIPv4Src   = 1                               // CTA_IP_V4_SRC
	ctaIPv4Dst   = 2                               // CTA_IP_V4_DST
	ctaIPv6Src   = 3                               // CTA_IP_V6_SRC
	ctaIPv6Dst   = 4                               // CTA_IP_V6_DST
	nlaTypeMask  = 0x3fff                          // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

const translationBuffer = 4 << 20 // bytes of the socket's buffer: what comes at once; ours

// WatchTranslations adds to t the connections whose addresses the calling thread's network namespace translates, those that are there and
// those that begin, until ctx ends. It takes CAP_NET_ADMIN. missed is told when some were: their ends have no names then.
func WatchTranslations(ctx context.Context, t *Translations, missed func()) error {
	news, err := nl.Subscribe(unix.NETLINK_NETFILTER, nfGroupNew)
	if err != nil {
		return fmt.Errorf("watch translated connections: %w", err)
	}
	news.SetReceiveBufferSize(translationBuffer, true) // refused: then some are missed more often
	// What is there comes over the same socket; what begins meanwhile comes twice.
	req := nl.NewNetlinkRequest(ctGet, unix.NLM_F_DUMP)
	req.AddRawData([]byte{unix.AF_UNSPEC, 0, 0, 0})
	if err := news.Send(req); err != nil {
		news.Close()
		return fmt.Errorf("list translated connections: %w", err)
	}
	stop := context.AfterFunc(ctx, news.Close)
	go func() {
		defer func() {
			if stop() {
				news.Close()
			}
		}()
		for {
			msgs, from, err := news.Receive()
			switch {
			case ctx.Err() != nil:
				return
			case errors.Is(err, unix.ENOBUFS):
				missed()
				continue
			case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
				continue
			case err != nil:
				missed()
				return
			case from.Pid != nl.PidKernel:
				continue
			}
			for _, m := range msgs {
				if m.Header.Type != ctNew || len(m.Data) < nfgenmsgSize {
					continue
				}
				if began, goes, ok := parseTranslation(m.Data[nfgenmsgSize:]); ok {
					t.Add(began, goes)
				}
			}
		}
	}()
	return nil
}

// parseTranslation reads an entry of the connection table; false: nothing is translated, or it is of a protocol without ports.
func parseTranslation(b []byte) (began, goes Tuple, ok bool) {
	var reply Tuple
	attributes(b, func(typ uint16, v []byte) {
		switch typ {
		case ctaOriginal:
			began = parseTuple(v)
		case ctaReply:
			reply = parseTuple(v)
		}
	})
	goes = Tuple{began.Proto, reply.To, reply.From} // the reply goes back
	if !began.From.IsValid() || !began.To.IsValid() || !goes.From.IsValid() || !goes.To.IsValid() || began == goes {
		return began, goes, false
	}
	return began, goes, began.Proto == unix.IPPROTO_TCP || began.Proto == unix.IPPROTO_UDP || began.Proto == unix.IPPROTO_SCTP
}

func parseTuple(b []byte) (t Tuple) {
	var from, to netip.Addr
	var ports [2]uint16
	attributes(b, func(typ uint16, v []byte) {
		switch typ {
		case ctaIP:
			attributes(v, func(typ uint16, v []byte) {
				switch typ {
				case ctaIPv4Src, ctaIPv6Src:
					from, _ = netip.AddrFromSlice(v)
				case ctaIPv4Dst, ctaIPv6Dst:
					to, _ = netip.AddrFromSlice(v)
				}
			})
		case ctaProto:
			attributes(v, func(typ uint16, v []byte) {
				switch {
				case typ == ctaProtoNum && len(v) >= 1:
					t.Proto = v[0]
				case (typ == ctaSrcPort || typ == ctaDstPort) && len(v) >= 2:
					ports[typ-ctaSrcPort] = binary.BigEndian.Uint16(v)
				}
			})
		}
	})
	t.From, t.To = netip.AddrPortFrom(from.Unmap(), ports[0]), netip.AddrPortFrom(to.Unmap(), ports[1])
	return t
}

// attributes calls fn for each attribute of a netlink message.
func attributes(b []byte, fn func(typ uint16, v []byte)) {
	for len(b) >= unix.SizeofNlAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofNlAttr || n > len(b) {
			return
		}
		fn(binary.NativeEndian.Uint16(b[2:])&nlaTypeMask, b[unix.SizeofNlAttr:n])
		b = b[min(len(b), (n+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
	}
}
