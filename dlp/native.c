#include "native.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static int64_t weir_native;

void *weir_alloc(size_t n) {
	void *p = malloc(n);
	if (p) __atomic_add_fetch(&weir_native, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
	return p;
}

void weir_release(void *p) {
	if (p) __atomic_sub_fetch(&weir_native, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
	free(p);
}

int64_t weir_bytes(void) { return __atomic_load_n(&weir_native, __ATOMIC_RELAXED); }

void weir_trim(void) { malloc_trim(0); }

void weir_count_memory(void) {
	// Streams are opened and closed by whatever thread comes: each arena would keep as much as ever was in use in it.
	mallopt(M_ARENA_MAX, 2);
	hs_set_database_allocator(weir_alloc, weir_release);
	hs_set_scratch_allocator(weir_alloc, weir_release);
	hs_set_stream_allocator(weir_alloc, weir_release);
}

// Ends that are this close make one region: what is between them is looked at once.
#define WEIR_CLOSE 64

int weir_match(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *ctx) {
	(void)from;
	(void)flags;
	weir_scan *s = ctx;
	uint32_t k = s->slot[id];
	to += s->shift;
	if (k) {
		weir_region *r = &s->region[k - 1];
		// The last places are kept for patterns that have none yet.
		if (to <= r->last + WEIR_CLOSE || s->n >= s->spare) {
			r->ends++;
			if (to > r->last) r->last = to;
			if (to < r->first) r->first = to;
			return 0;
		}
	}
	weir_region *r = &s->region[s->n++];
	r->id = id;
	r->ends = 1;
	r->first = r->last = to;
	s->slot[id] = s->n;
	return 0;
}

static void weir_clear(weir_scan *s) {
	for (uint32_t i = 0; i < s->n; i++) s->slot[s->region[i].id] = 0;
	s->n = 0;
	s->shift = 0;
}

hs_error_t weir_scan_whole(weir_scan *s, const weir_class *c, int kind, const char *b, unsigned int n) {
	if (c->block[kind]) return hs_scan(c->block[kind], b, n, 0, s->scratch, weir_match, s);
	if (!c->stream[kind]) return HS_SUCCESS;
	hs_stream_t *st;
	hs_error_t e = hs_open_stream(c->stream[kind], 0, &st);
	if (e != HS_SUCCESS) return e;
	e = hs_scan_stream(st, b, n, 0, s->scratch, weir_match, s);
	hs_error_t e2 = hs_close_stream(st, s->scratch, weir_match, s);
	return e == HS_SUCCESS ? e2 : e;
}

int weir_block(weir_scan *s, const weir_class *c, const char *b, unsigned int n) {
	weir_clear(s);
	hs_error_t e = weir_scan_whole(s, c, WEIR_ALWAYS, b, n);
	if (e == HS_SUCCESS && c->sieve) e = weir_sieve_block(s, c, (const uint8_t *)b, n);
	return e == HS_SUCCESS ? (int)s->n : (int)e;
}

int weir_write(weir_scan *s, weir_stream *st, const char *b, unsigned int n) {
	weir_clear(s);
	hs_error_t e = HS_SUCCESS;
	if (st->stream[WEIR_ALWAYS]) e = hs_scan_stream(st->stream[WEIR_ALWAYS], b, n, 0, s->scratch, weir_match, s);
	if (e == HS_SUCCESS && st->class->sieve) e = weir_sieve_write(s, st, (const uint8_t *)b, n);
	return e == HS_SUCCESS ? (int)s->n : (int)e;
}

int weir_end(weir_scan *s, weir_stream *st) {
	weir_clear(s);
	hs_error_t e = HS_SUCCESS;
	if (st->stream[WEIR_ALWAYS]) e = hs_reset_stream(st->stream[WEIR_ALWAYS], 0, s->scratch, weir_match, s);
	for (int k = WEIR_SINGLE; k < WEIR_KINDS; k++) {
		if (st->awake[k]) {
			s->shift = st->base[k];
			hs_error_t e2 = hs_reset_stream(st->stream[k], 0, s->scratch, weir_match, s);
			if (e == HS_SUCCESS) e = e2;
		}
		st->until[k] = st->base[k] = st->awake[k] = 0;
	}
	st->at = 0;
	st->kept = 0;
	return e == HS_SUCCESS ? (int)s->n : (int)e;
}

weir_stream *weir_open(const weir_class *c) {
	weir_stream *st = weir_alloc(sizeof *st);
	if (!st) return NULL;
	memset(st, 0, sizeof *st);
	st->class = c;
	for (int k = 0; k < WEIR_KINDS; k++) {
		if (c->stream[k] && hs_open_stream(c->stream[k], 0, &st->stream[k]) != HS_SUCCESS) {
			weir_close(st);
			return NULL;
		}
	}
	return st;
}

void weir_close(weir_stream *st) {
	for (int k = 0; k < WEIR_KINDS; k++)
		if (st->stream[k]) hs_close_stream(st->stream[k], NULL, NULL, NULL);
	weir_release(st);
}

// A stream of a kind, as weir_freeze writes it: its length, and of what is sieved how far it is looked for, stand before it.
typedef struct {
	uint64_t until, base;
	uint32_t size;
} frozen;

// idle reports whether a stream of a kind has nothing to be remembered.
static int idle(const weir_stream *st, int kind) { return !st->stream[kind] || (kind != WEIR_ALWAYS && !st->awake[kind]); }

int weir_freeze(const weir_stream *st, char *b, unsigned int size) {
	unsigned int at = 1;
	if (!size) return 0;
	b[0] = 0;
	for (int k = 0; k < WEIR_KINDS; k++) {
		if (idle(st, k)) continue;
		if (at + sizeof(frozen) > size) return 0;
		size_t used = 0;
		char *to = b + at + sizeof(frozen);
		if (hs_compress_stream(st->stream[k], to, size - at - sizeof(frozen), &used) != HS_SUCCESS) return 0;
		frozen f = {st->until[k], st->base[k], used};
		memcpy(b + at, &f, sizeof f);
		at += sizeof f + used;
		b[0] |= 1 << k;
	}
	return at;
}

int weir_thaw(weir_stream *st, const char *b, uint64_t at, const char *last, unsigned int kept) {
	const char *p = b + 1;
	for (int k = 0; k < WEIR_KINDS; k++) {
		frozen f = {0};
		hs_error_t e = HS_SUCCESS;
		if (b[0] >> k & 1) {
			memcpy(&f, p, sizeof f);
			e = hs_reset_and_expand_stream(st->stream[k], p + sizeof f, f.size, NULL, NULL, NULL);
			p += sizeof f + f.size;
		} else if (!idle(st, k)) {
			e = hs_reset_stream(st->stream[k], 0, NULL, NULL, NULL);
		}
		if (e != HS_SUCCESS) return 0;
		st->until[k] = f.until;
		st->base[k] = f.base;
		st->awake[k] = k != WEIR_ALWAYS && b[0] >> k & 1;
	}
	if (kept > WEIR_KEEP) last += kept - WEIR_KEEP, kept = WEIR_KEEP;
	memcpy(st->last, last, kept);
	st->kept = kept;
	st->at = at;
	return 1;
}

hs_database_t *weir_load(const char *b, size_t n) {
	hs_database_t *db = NULL;
	return hs_deserialize_database(b, n, &db) == HS_SUCCESS ? db : NULL;
}

// Makes s fit for a class and its number of patterns.
int weir_fit(weir_scan *s, const weir_class *c, uint32_t patterns) {
	for (int k = 0; k < WEIR_KINDS; k++) {
		if (c->block[k] && hs_alloc_scratch(c->block[k], &s->scratch) != HS_SUCCESS) return 0;
		if (c->stream[k] && hs_alloc_scratch(c->stream[k], &s->scratch) != HS_SUCCESS) return 0;
	}
	if (patterns <= s->patterns) return 1;
	uint32_t cap = patterns + 1024;
	weir_region *r = weir_alloc(cap * sizeof *r);
	uint32_t *slot = weir_alloc(patterns * sizeof *slot);
	if (!r || !slot) {
		weir_release(r);
		weir_release(slot);
		return 0;
	}
	memset(slot, 0, patterns * sizeof *slot);
	weir_release(s->region);
	weir_release(s->slot);
	s->region = r;
	s->slot = slot;
	s->n = 0;
	s->cap = cap;
	s->patterns = patterns;
	s->spare = cap - patterns;
	return 1;
}

weir_scan *weir_new(void) {
	weir_scan *s = weir_alloc(sizeof *s);
	if (s) memset(s, 0, sizeof *s);
	return s;
}

void weir_drop(weir_scan *s) {
	hs_free_scratch(s->scratch);
	weir_release(s->region);
	weir_release(s->slot);
	weir_release(s);
}
