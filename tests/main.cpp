#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // Keep memory that was freed: tests of wide heads otherwise spend a third of their time on new pages.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
  return doctest::Context(argc, argv).run();
}
