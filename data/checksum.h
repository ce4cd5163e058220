// SHA-256 (FIPS 180-4): whether bytes are those that were written.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's

namespace orthoread {

/// Of bytes as they come. It can be asked at any time, and goes on.
class Sha256 {
 public:
  Sha256();
  /// The next bytes.
  void update(std::string_view bytes);
  /// Of all bytes so far, as 64 hex digits.
  std::string hex() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// Of these bytes, as 64 hex digits.
std::string sha256(std::string_view bytes);

}  // namespace orthoread
