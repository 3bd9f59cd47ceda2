/* report_clicks.js -- what tests/report_clicks.sh puts into a report's page: clicks, and looks. */
(async function () {
    "use strict";
    const faults = [], at = (id) => document.getElementById(id);
    let looked = 0;
    window.addEventListener("error", (event) => faults.push("error: " + event.message));
    document.addEventListener("securitypolicyviolation", (event) => faults.push("policy: " + event.blockedURI));
    const look = (holds, what) => { looked++; if (!holds) faults.push(what); };
    const wait = async (holds, what) => {
        for (let i = 0; i < 400 && !holds(); i++) await new Promise((done) => setTimeout(done, 25));
        look(holds(), what);
    };
    const set = (node, value) => { node.value = value; node.dispatchEvent(new Event("change")); };
    const cards = () => document.querySelectorAll("#list article");
    const number = () => parseInt(at("count").textContent.replace(",", ""), 10);

    try {
        await wait(() => cards().length > 0, "no answers are shown");
        look(document.querySelectorAll("#scores tbody tr").length >= 2, "fewer than two models in the table");
        look(document.querySelectorAll("#profile svg[role=img] .trace").length >= 2, "no radar");
        look(document.querySelectorAll("#bars .bar").length > 2, "no bars");
        look(document.querySelectorAll("#comparison tbody tr").length > 2, "no comparison");
        look(document.querySelector("#comparison svg[role=img]"), "no intervals drawn");
        look(document.documentElement.scrollWidth <= window.innerWidth, "the page is wider than its window: " +
             document.documentElement.scrollWidth);
        const sets = Array.from(at("set").options, (o) => o.value);
        for (const name of sets) {
            set(at("set"), name);
            await wait(() => cards().length > 0 && (document.querySelector("#list img") === null ||
                       document.querySelector("#list img").getAttribute("src").startsWith("images/" + name + "/")),
                       name + ": no answers");
            look(document.querySelectorAll("#list .reply").length >= cards().length, name + ": no replies");
        }
        set(at("set"), "pope-test");
        await wait(() => at("category").options.length === 4, "pope has three categories");
        await wait(() => number() > 20, "pope has several pages");
        set(at("side-a"), "2");
        await wait(() => cards().length > 0 && cards()[0].querySelector(".reply .text").textContent ===
                   "</script><img src=x onerror=window.injected=1><b>no</b>", "the reply that would be markup is not text");
        look(document.querySelector("#scores tbody tr:last-child th").textContent === "<b onclick=x>evil</b>", "its label is not text");
        look(!document.querySelector("[onerror], [onclick], main b, main script") && !window.injected, "a reply became markup");
        set(at("side-a"), "0");
        let all = number();
        set(at("category"), "1");
        await wait(() => number() < all && number() > 0, "a category narrows nothing");
        set(at("set"), "gqa-testdev_balanced");
        await new Promise((done) => setTimeout(done, 600));
        all = number();
        set(at("side-a"), "1");
        set(at("side-b"), "0");
        set(at("outcome"), "a-right");
        await new Promise((done) => setTimeout(done, 300));
        const right = number();
        set(at("outcome"), "a-wrong");
        await new Promise((done) => setTimeout(done, 300));
        look(right + number() === all && right < all && right > 0, "right and wrong are not all: " + right + ", " + number());
        const wrong = [].concat(...Array.from(cards(), (c) => c.querySelector(".verdict").textContent));
        look(wrong.every((w) => w.indexOf("wrong") >= 0), "a right reply among the wrong");
        set(at("outcome"), "flipped");
        await new Promise((done) => setTimeout(done, 300));
        const flipped = number();
        set(at("outcome"), "a-better");
        await new Promise((done) => setTimeout(done, 300));
        const lost = number();
        set(at("outcome"), "b-better");
        await new Promise((done) => setTimeout(done, 300));
        look(flipped > 0 && lost + number() === flipped, "flips: " + [flipped, lost, number()]);
        set(at("outcome"), "all");
        await new Promise((done) => setTimeout(done, 300));
        const first = cards()[0].querySelector("h3").textContent;
        at("next").click();
        await wait(() => cards().length && cards()[0].querySelector("h3").textContent !== first, "no next page");
        at("text").value = "zzz-nowhere";
        at("text").dispatchEvent(new Event("input"));
        await wait(() => number() === 0, "a text that is nowhere is found");
        at("text").value = "yes";
        at("text").dispatchEvent(new Event("input"));
        await wait(() => number() > 0 && cards().length > 0, "a text is not found");
        const image = document.querySelector("#list img");
        image.loading = "eager";
        await wait(() => image.complete && image.naturalWidth > 0, "a picture does not load");
        look(Array.from(cards()[0].querySelectorAll("summary"), (s) => s.textContent).indexOf("Exact prompt") >= 0, "no prompt");
        set(at("set"), "llavabench-test");
        at("text").value = "";
        await wait(() => document.querySelector("#list .reply details"), "no judge's reply");
    } catch (error) {
        faults.push(String(error));
    }
    document.title = "clicks: " + (faults.length ? faults.join("; ") : "ok, " + looked + " looks");
}());
