#include "apps/commands.h"
#include "apps/console.h"
#include "apps/environment.h"
#include "apps/options.h"

#include <fmt/format.h>

namespace orthoread {

void add_info_command(Command& program) {
  auto common = std::make_shared<CommonOptions>();
  Command command = program.add_command("info", "Show what this program was built with and runs on");
  common->add_to(command);
  command.footer("Example:\n  orthoread info --json");
  command.runs([common] {
    common->apply();
    const Json facts = environment();
    if (common->json) {
      print_out("{}\n", facts.dump(2));
    } else {
      for (const auto& [key, value] : facts.items()) {
        print_out("{:<15} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
      }
    }
    return kDone;
  });
}

}  // namespace orthoread
