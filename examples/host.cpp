// A host in C++17: the headers are C++ as they stand. Handles are owned by unique_ptr, handlers are lambdas without
// captures that find their object through `user`. No exception may leave a handler: the bus is C.
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include <tallybus.h>

namespace
{

void check(int64_t error, const char *what)
{
    if (error < 0)
        throw std::runtime_error(std::string(what) + ": " + uv_strerror(static_cast<int>(error)));
}

struct Closer {
    void operator()(tbus_t *bus) const
    {
        tbus_free(bus);
    }
};
using Bus = std::unique_ptr<tbus_t, Closer>;

class TokensByModel
{
  public:
    explicit TokensByModel(tbus_t *bus)
    {
        check(tbus_subscribe(bus, "request.completed", 0, &TokensByModel::on_event, this), "subscribing");
    }

    const std::map<std::string, long> &tokens() const
    {
        return tokens_;
    } // once the bus is closed

  private:
    static int on_event(const tbus_event_t *event, void *user) noexcept
    {
        try {
            const auto *completed = tbus_as_request_completed(event);
            static_cast<TokensByModel *>(user)->tokens_[completed->model ? completed->model : ""] +=
                static_cast<long>(completed->output_tokens);
            return 0;
        } catch (const std::bad_alloc &) {
            return UV_ENOMEM; // counted as this handler's error
        }
    }

    std::map<std::string, long> tokens_;
};

void publish(tbus_t *bus, const std::string &model, int64_t tokens)
{
    tbus_request_completed_t event{};
    event.base.request_id = "req-1"; // copied, as all strings are
    event.model = model.c_str();
    event.duration_ms = NAN; // not known: 0 would be a figure
    event.output_tokens = tokens;
    check(tbus_publish_request_completed(bus, &event), "publishing");
}

Bus open_bus()
{
    tbus_t *bus = nullptr;
    check(tbus_open(nullptr, &bus), "opening the bus");
    return Bus(bus);
}

} // namespace

int main()
{
    try {
        Bus bus = open_bus();
        TokensByModel counter(bus.get());
        publish(bus.get(), "gpt-4o", 300);
        publish(bus.get(), "o1-mini", 40);
        publish(bus.get(), "gpt-4o", 12);
        bus.reset(); // delivers everything, and ends the thread
        for (const auto &[model, tokens] : counter.tokens())
            std::printf("%s: %ld\n", model.c_str(), tokens);
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
