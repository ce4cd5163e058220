// SHA-256 (FIPS 180-4), to detect damaged files.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's

namespace orthoread {

/// The checksum of bytes that arrive in parts. hex() may be called at any time, and update() afterwards.
class Sha256 {
 public:
  Sha256();
  /// Adds the next bytes.
  void update(std::string_view bytes);
  /// The checksum of all bytes so far, as 64 hex digits.
  std::string hex() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// The checksum of these bytes, as 64 hex digits.
std::string sha256(std::string_view bytes);

}  // namespace orthoread
