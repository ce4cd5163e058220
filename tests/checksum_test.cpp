#include "data/checksum.h"

#include <doctest/doctest.h>

using namespace orthoread;

TEST_CASE("checksum: the examples of FIPS 180-4") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("checksum: hex() may be called between updates") {
  Sha256 sum;
  std::string all;
  for (int i = 0; i < 200; ++i) {
    const std::string more(static_cast<size_t>(i), static_cast<char>('a' + i % 26));
    sum.update(more);
    all += more;
    CHECK(sum.hex() == sha256(all));
  }
}
