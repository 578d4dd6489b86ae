// Hyperscan's compiler takes and gives back a hundred million small pieces of memory: a third of its time goes to malloc. While a thread compiles,
// what it gives back is kept, by size, for what it takes next. Every piece is one of malloc's, so that it does not matter who frees it, or when.
#include <malloc.h>
#include <stdlib.h>

#include <new>

extern "C" void weir_keep_memory(int on);

namespace {

const size_t step = 16;  // malloc's: it has pieces of step * i + 8 bytes that can be used
const size_t most = 128; // sizes that are kept: to 2 KiB

struct piece {
	piece *next;
};

struct kept {
	piece *of[most];
	bool on;
};

thread_local kept mine;

size_t sizeOf(size_t n) { return n <= 24 ? 1 : (n - 8 + step - 1) / step; }

void *take(size_t n) {
	size_t i = sizeOf(n);
	if (mine.on && i < most) {
		if (piece *p = mine.of[i]) {
			mine.of[i] = p->next;
			return p;
		}
		n = step * i + 8;
	}
	return malloc(n ? n : 1);
}

void give(void *p) {
	if (mine.on && p) {
		size_t n = malloc_usable_size(p), i = n < 8 ? 0 : (n - 8) / step; // the largest that it is enough for, also where another malloc has other sizes
		if (i > 0 && i < most) {
			piece *q = static_cast<piece *>(p);
			q->next = mine.of[i];
			mine.of[i] = q;
			return;
		}
	}
	free(p);
}

} // namespace

void *operator new(size_t n) {
	for (;;) {
		if (void *p = take(n)) return p;
		std::new_handler h = std::get_new_handler();
		if (!h) throw std::bad_alloc();
		h();
	}
}

void operator delete(void *p) noexcept { give(p); }
void operator delete(void *p, size_t) noexcept { give(p); }

extern "C" void weir_keep_memory(int on) {
	mine.on = on;
	if (on) return;
	for (size_t i = 0; i < most; i++) {
		while (piece *p = mine.of[i]) {
			mine.of[i] = p->next;
			free(p);
		}
	}
}
